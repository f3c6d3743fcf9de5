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

#include "lstm_gates.h"

/* One cell: updates its state, returns its hidden value. */
static int8_t hidden_value(const mp_lstm_s8 *op, uint32_t cell, const int8_t *x, const int8_t *h, int16_t *c)
{
    const int32_t forget = mp_lstm_gate(op, MP_FORGET_GATE, cell, x, h, *c);
    const int32_t update = mp_lstm_gate(op, MP_CELL_GATE, cell, x, h, *c);
    const int32_t enter = op->coupled ? 0 : mp_lstm_gate(op, MP_INPUT_GATE, cell, x, h, *c);
    *c = mp_lstm_state(op, *c, forget, update, enter);
    return mp_lstm_hidden(op, *c, mp_lstm_gate(op, MP_OUTPUT_GATE, cell, x, h, *c));
}

size_t mp_lstm_s8_ref_workspace(const mp_lstm_shape *shape) { return shape->projects ? shape->cells : 0; }

void mp_lstm_s8_ref(const mp_lstm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out, void *workspace)
{
    for (uint32_t step = 0; step < op->shape.steps; step++) {
        int8_t *hidden = op->shape.projects ? workspace : out;
        for (uint32_t cell = 0; cell < op->shape.cells; cell++)
            hidden[cell] = hidden_value(op, cell, in, h, c + cell);
        if (op->shape.projects) mp_lstm_project(op, hidden, out);
        memcpy(h, out, op->shape.outputs);
        in += op->shape.inputs;
        out += op->shape.outputs;
    }
}
