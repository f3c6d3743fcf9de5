/* LSTM over a sequence, int8 with an int16 cell state. Reference: the other variants equal it bit for bit.
 *
 *   gate    = clamp16(clamp16(requant(W x + bias)) + requant(R h + bias)), with a peephole + requant(p * c), clamped
 *   c       = clamp16(rdbp(sigmoid(forget) * c, 15) + rdbp(enter * tanh(cell), 15 + cell_bits)), clipped
 *   enter   = sigmoid(input), or 32767 - sigmoid(forget) where they are coupled
 *   hidden  = clamp(requant(sigmoid(output) * tanh(c)) + hidden_zp), of the new c
 *   h = out = hidden, or clamp(requant(P hidden + bias) + out_zp), clipped
 *
 * in: (steps, inputs); out: (steps, outputs), apart from in; h: (outputs), c: (cells), kept; workspace: hidden, `cells`
 * bytes with a projection, else none. */
#include <string.h>

#include "mcuprune_nn.h"
#include "mp_fixed16.h"

enum { CELL, FORGET, OUTPUT, INPUT };

static int32_t clamp16(int32_t x) { return mp_clamp(x, INT16_MIN, INT16_MAX); }

static int32_t dot(const int8_t *a, const int8_t *b, uint32_t count, int32_t sum)
{
    for (uint32_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* What goes into the sigmoid or tanh of one cell's gate; c: its state. */
static int32_t gate(const mp_lstm_s8 *op, uint32_t number, uint32_t cell, const int8_t *x, const int8_t *h, int32_t c)
{
    const uint32_t row = number * op->shape.cells + cell, inputs = op->shape.inputs, outputs = op->shape.outputs;
    const int32_t from_x = dot(op->in_weights + row * inputs, x, inputs, op->in_bias[row]);
    const int32_t from_h = dot(op->rec_weights + row * outputs, h, outputs, op->rec_bias[row]);
    int32_t sum = clamp16(mp_requant(from_x, op->in_mult[number], op->in_shift[number]));
    sum = clamp16(sum + mp_requant(from_h, op->rec_mult[number], op->rec_shift[number]));
    if (!op->peephole || number == CELL || cell >= outputs) return sum;
    const int32_t seen = op->peephole[row - op->shape.cells] * c;
    return clamp16(sum + mp_requant(seen, op->cell_mult[number], op->cell_shift[number]));
}

/* One cell: updates its state, returns its hidden value. */
static int8_t hidden_value(const mp_lstm_s8 *op, uint32_t cell, const int8_t *x, const int8_t *h, int16_t *c)
{
    const int32_t forget = mp_sigmoid16(gate(op, FORGET, cell, x, h, *c));
    const int32_t update = mp_tanh16(gate(op, CELL, cell, x, h, *c), 3);
    const int32_t enter = op->coupled ? INT16_MAX - forget : mp_sigmoid16(gate(op, INPUT, cell, x, h, *c));
    int32_t state = mp_rounding_divide_by_pot(forget * *c, 15);
    state = clamp16(state + mp_rounding_divide_by_pot(enter * update, 15 + op->cell_bits));
    if (op->cell_clip) state = mp_clamp(state, -op->cell_clip, op->cell_clip);
    *c = (int16_t)state;
    const int32_t leave = mp_sigmoid16(gate(op, OUTPUT, cell, x, h, state));
    const int32_t product = leave * mp_tanh16(state, op->cell_bits);
    const int32_t value = mp_requant(product, op->hidden_mult, op->hidden_shift) + op->hidden_zp;
    return (int8_t)mp_clamp(value, INT8_MIN, INT8_MAX);
}

static void project(const mp_lstm_s8 *op, const int8_t *hidden, int8_t *out)
{
    for (uint32_t o = 0; o < op->shape.outputs; o++) {
        const int32_t sum = dot(op->projection + o * op->shape.cells, hidden, op->shape.cells, op->projection_bias[o]);
        int32_t value = mp_requant(sum, op->projection_mult, op->projection_shift) + op->out_zp;
        value = mp_clamp(value, INT8_MIN, INT8_MAX);
        if (op->projection_clip) value = mp_clamp(value, -op->projection_clip, op->projection_clip);
        out[o] = (int8_t)value;
    }
}

size_t mp_lstm_s8_ref_workspace(const mp_lstm_shape *shape) { return shape->projects ? shape->cells : 0; }

void mp_lstm_s8_ref(const mp_lstm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out, void *workspace)
{
    for (uint32_t step = 0; step < op->shape.steps; step++) {
        int8_t *hidden = op->shape.projects ? workspace : out;
        for (uint32_t cell = 0; cell < op->shape.cells; cell++)
            hidden[cell] = hidden_value(op, cell, in, h, c + cell);
        if (op->shape.projects) project(op, hidden, out);
        memcpy(h, out, op->shape.outputs);
        in += op->shape.inputs;
        out += op->shape.outputs;
    }
}
