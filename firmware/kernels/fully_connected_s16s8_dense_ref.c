/* Fully-connected layer over dense rows, int16 by int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[b][o] = bias[o] + sum_k in[b][k] * weights[o][k]
 *   out[b][o] = clamp(round(acc[b][o] * scale[o]), act_min, act_max)
 *
 * in: (batches, cols); out: (batches, rows), apart from in; weights: (rows, cols); workspace: none. */
#include "sums_s16s8.h"

void mp_fully_connected_s16s8_dense_ref(const mp_fully_connected_s16s8_dense *op, const int16_t *in, int16_t *out)
{
    for (uint32_t b = 0; b < op->batches; b++, in += op->cols) {
        for (uint32_t o = 0; o < op->rows; o++) {
            const int64_t acc = op->bias[o] + mp_dot_s16s8(in, op->weights.weights + o * op->cols, op->cols);
            *out++ = (int16_t)mp_clamp(mp_round_product(acc, op->scale[o]), op->act_min, op->act_max);
        }
    }
}
