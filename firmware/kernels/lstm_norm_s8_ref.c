/* LSTM over a sequence with layer normalization of its gates' sums, int8. Reference: the other variants equal it bit for
 * bit.
 *
 *   mean  = 1024 * sum(g) / n;  v = (sum(g^2) * (2^20 / n) - mean^2) / 2^20, `guard` below 1
 *   g     = clamp16(requant((requant(1024 * g - mean, 1 / sqrt(v)) * weight + bias) / 1024, norm))
 *
 * over the n cells of each gate, else as lstm_s8_ref.c, whose arguments these are, too. Divisions go toward zero, the
 * second one to nearest. workspace: sums of three gates, 6 * cells bytes, then hidden values as there. */
#include <string.h>

#include "inverse_root.h"
#include "lstm_gates.h"

static void normalize(const mp_lstm_norm_s8 *op, uint32_t number, int16_t *sums)
{
    const uint32_t cells = op->shape.cells, row = number * cells;
    int64_t sum = 0, squares = 0;
    for (uint32_t i = 0; i < cells; i++) {
        sum += sums[i];
        squares += sums[i] * sums[i];
    }
    const int32_t mean = (int32_t)(sum * 1024 / (int64_t)cells);
    const int64_t variance = (squares * ((1 << 20) / (int32_t)cells) - (int64_t)mean * mean) / (1 << 20);
    const mp_factor inverse = mp_inverse_root(variance < 1 ? op->norm_guard[number] : (int32_t)variance);
    for (uint32_t i = 0; i < cells; i++) {
        const int32_t scaled = mp_requant(1024 * sums[i] - mean, inverse.mult, inverse.shift);
        const int64_t weighted = (int64_t)scaled * op->norm_weights[row + i] + op->norm_bias[row + i];
        const int32_t rounded = (int32_t)((weighted > 0 ? weighted + 512 : weighted - 512) / 1024);
        sums[i] = (int16_t)mp_clamp16(mp_requant(rounded, op->norm_mult[number], op->norm_shift[number]));
    }
}

static void gates(const mp_lstm_norm_s8 *op, uint32_t number, const int8_t *x, const int8_t *h, const int16_t *c,
                  int16_t *sums)
{
    for (uint32_t i = 0; i < op->shape.cells; i++)
        sums[i] = (int16_t)mp_lstm_gate(&op->lstm, number, i, x, h, c[i]);
    normalize(op, number, sums);
}

size_t mp_lstm_norm_s8_ref_workspace(const mp_lstm_shape *shape) { return (shape->projects ? 7 : 6) * shape->cells; }

void mp_lstm_norm_s8_ref(const mp_lstm_norm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out,
                         void *workspace)
{
    const mp_lstm_s8 *const lstm = &op->lstm;
    const uint32_t cells = op->shape.cells;
    int16_t *const forget = workspace, *const update = forget + cells, *const enter = update + cells;
    for (uint32_t step = 0; step < op->shape.steps; step++) {
        gates(op, MP_FORGET_GATE, in, h, c, forget);
        gates(op, MP_CELL_GATE, in, h, c, update);
        if (!lstm->coupled) gates(op, MP_INPUT_GATE, in, h, c, enter);
        for (uint32_t i = 0; i < cells; i++)
            c[i] = mp_lstm_state(lstm, c[i], forget[i], update[i], enter[i]);
        int16_t *const leave = forget; /* which is no longer needed */
        gates(op, MP_OUTPUT_GATE, in, h, c, leave);
        int8_t *const hidden = op->shape.projects ? (int8_t *)(enter + cells) : out;
        for (uint32_t i = 0; i < cells; i++)
            hidden[i] = mp_lstm_hidden(lstm, c[i], leave[i]);
        if (op->shape.projects) mp_lstm_project(lstm, hidden, out);
        memcpy(h, out, op->shape.outputs);
        in += op->shape.inputs;
        out += op->shape.outputs;
    }
}
