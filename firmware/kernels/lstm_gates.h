/* lstm_gates.h: gates, cells and projection of an LSTM, int8 with an int16 cell state; formulas in lstm_s8_ref.c. */
#ifndef MCUPRUNE_LSTM_GATES_H
#define MCUPRUNE_LSTM_GATES_H

#include "mcuprune_nn.h"
#include "mp_fixed16.h"

enum { MP_CELL_GATE, MP_FORGET_GATE, MP_OUTPUT_GATE, MP_INPUT_GATE };

static inline int32_t mp_clamp16(int32_t x) { return mp_clamp(x, INT16_MIN, INT16_MAX); }

static inline int32_t mp_lstm_dot(const int8_t *a, const int8_t *b, uint32_t count, int32_t sum)
{
    for (uint32_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* What goes into the sigmoid or tanh of one cell's gate, or into its normalization; c: the cell's state. */
static inline int32_t mp_lstm_gate(const mp_lstm_s8 *op, uint32_t number, uint32_t cell, const int8_t *x,
                                   const int8_t *h, int32_t c)
{
    const uint32_t row = number * op->shape.cells + cell, inputs = op->shape.inputs, outputs = op->shape.outputs;
    const int32_t from_x = mp_lstm_dot(op->in_weights + row * inputs, x, inputs, op->in_bias[row]);
    const int32_t from_h = mp_lstm_dot(op->rec_weights + row * outputs, h, outputs, op->rec_bias[row]);
    int32_t sum = mp_clamp16(mp_requant(from_x, op->in_mult[number], op->in_shift[number]));
    sum = mp_clamp16(sum + mp_requant(from_h, op->rec_mult[number], op->rec_shift[number]));
    if (!op->peephole || number == MP_CELL_GATE || cell >= outputs) return sum;
    const int32_t seen = op->peephole[row - op->shape.cells] * c;
    return mp_clamp16(sum + mp_requant(seen, op->cell_mult[number], op->cell_shift[number]));
}

/* The new state of a cell, from sums of its gates; enter: unused where input and forget are coupled. */
static inline int16_t mp_lstm_state(const mp_lstm_s8 *op, int32_t c, int32_t forget, int32_t update, int32_t enter)
{
    forget = mp_sigmoid16(forget);
    enter = op->coupled ? INT16_MAX - forget : mp_sigmoid16(enter);
    int32_t state = mp_rounding_divide_by_pot(forget * c, 15);
    state = mp_clamp16(state + mp_rounding_divide_by_pot(enter * mp_tanh16(update, 3), 15 + op->cell_bits));
    if (op->cell_clip) state = mp_clamp(state, -op->cell_clip, op->cell_clip);
    return (int16_t)state;
}

/* The hidden value of a cell, from its new state and the sum of the output gate. */
static inline int8_t mp_lstm_hidden(const mp_lstm_s8 *op, int32_t c, int32_t leave)
{
    const int32_t product = mp_sigmoid16(leave) * mp_tanh16(c, op->cell_bits);
    const int32_t value = mp_requant(product, op->hidden_mult, op->hidden_shift) + op->hidden_zp;
    return (int8_t)mp_clamp(value, INT8_MIN, INT8_MAX);
}

static inline void mp_lstm_project(const mp_lstm_s8 *op, const int8_t *hidden, int8_t *out)
{
    const uint32_t cells = op->shape.cells;
    for (uint32_t o = 0; o < op->shape.outputs; o++) {
        const int32_t sum = mp_lstm_dot(op->projection + o * cells, hidden, cells, op->projection_bias[o]);
        int32_t value = mp_requant(sum, op->projection_mult, op->projection_shift) + op->out_zp;
        value = mp_clamp(value, INT8_MIN, INT8_MAX);
        if (op->projection_clip) value = mp_clamp(value, -op->projection_clip, op->projection_clip);
        out[o] = (int8_t)value;
    }
}

#endif
