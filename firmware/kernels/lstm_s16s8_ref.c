/* LSTM over a sequence, int16 activations, int8 weights. Reference: the other variants equal it bit for bit.
 *
 *   gate = clamp16(clamp16(wide(W x + bias)) + clamp16(wide(R h)))
 *   c    = clamp16(clamp16(requant(sigmoid(forget) * c, 2^-15)) + clamp16(requant(sigmoid(input) * tanh(cell))))
 *          clipped
 *   h = out = clamp16(requant(sigmoid(output) * tanh(c))), of the new c
 *
 * wide: mp_requant_wide(). in: (steps, inputs); out: (steps, cells), apart from in;
 * h, c: (cells), kept; workspace: none. */
#include <string.h>

#include "mcuprune_nn.h"
#include "mp_numerics.h"
#include "sigmoid_table16.h"

enum { CELL, FORGET, OUTPUT, INPUT };

static int32_t clamp16(int32_t x) { return mp_clamp(x, INT16_MIN, INT16_MAX); }

static int64_t dot(const int8_t *weights, const int16_t *x, uint32_t count, int64_t sum)
{
    for (uint32_t i = 0; i < count; i++)
        sum += weights[i] * x[i];
    return sum;
}

/* What goes into the sigmoid or tanh of one cell's gate. */
static int32_t gate(const mp_lstm_s16s8 *op, uint32_t number, uint32_t cell, const int16_t *x, const int16_t *h)
{
    const uint32_t cells = op->cells, inputs = op->inputs, row = number * cells + cell;
    const int64_t from_x = dot(op->in_weights + row * inputs, x, inputs, op->bias[row]);
    const int64_t from_h = dot(op->rec_weights + row * cells, h, cells, 0);
    const int32_t sum = clamp16(mp_requant_wide(from_x, op->in_mult[number], op->in_shift[number]));
    return clamp16(sum + clamp16(mp_requant_wide(from_h, op->rec_mult[number], op->rec_shift[number])));
}

static int32_t sigmoid(int32_t x) { return mp_sigmoid_by_table16(3 * x); } /* of Q3.12 */

/* Of a value with so many integer bits, 0 to 6. */
static int32_t tanh_of(int32_t x, int32_t bits)
{
    const int32_t left = bits > 3 ? bits - 3 : 0, right = bits < 3 ? 3 - bits : 0;
    return mp_tanh_by_table16(((3 << left) * x + ((1 << right) >> 1)) >> right);
}

/* One cell: updates its state, returns its hidden value. */
static int16_t hidden_value(const mp_lstm_s16s8 *op, uint32_t cell, const int16_t *x, const int16_t *h, int16_t *c)
{
    const int32_t forget = sigmoid(gate(op, FORGET, cell, x, h));
    const int32_t enter = sigmoid(gate(op, INPUT, cell, x, h));
    const int32_t update = tanh_of(gate(op, CELL, cell, x, h), 3);
    int32_t state = clamp16(mp_requant(forget * *c, 1 << 30, -14));
    state = clamp16(state + clamp16(mp_requant(enter * update, op->enter_mult, op->enter_shift)));
    if (op->cell_clip) state = mp_clamp(state, -op->cell_clip, op->cell_clip);
    *c = (int16_t)state;
    const int32_t leave = sigmoid(gate(op, OUTPUT, cell, x, h));
    const int32_t product = leave * tanh_of(state, op->cell_bits);
    return (int16_t)clamp16(mp_requant(product, op->hidden_mult, op->hidden_shift));
}

void mp_lstm_s16s8_ref(const mp_lstm_s16s8 *op, const int16_t *in, int16_t *h, int16_t *c, int16_t *out)
{
    for (uint32_t step = 0; step < op->steps; step++) {
        for (uint32_t cell = 0; cell < op->cells; cell++)
            out[cell] = hidden_value(op, cell, in, h, c + cell);
        memcpy(h, out, op->cells * sizeof *h);
        in += op->inputs;
        out += op->cells;
    }
}
