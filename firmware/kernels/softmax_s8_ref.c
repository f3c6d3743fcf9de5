/* Softmax in fixed point, int8. Reference: the other variants equal it bit for bit.
 *
 *   out[c] = clamp(round(2^8 * e[c] / sum(e)) - 2^7), e as in softmax_row.h
 *
 * in: (rows, cols), cols <= 4095; out: (rows, cols) with scale 1/256 and zero point -2^7; workspace: none. */
#include "softmax_row.h"

void mp_softmax_s8_ref(const mp_softmax_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++, in += op->cols, out += op->cols) {
        const mp_softmax_row row = mp_softmax_begin(op, in, 8);
        for (uint32_t c = 0; c < op->cols; c++) {
            const int32_t probability = mp_softmax_probability(op, &row, in[c]);
            out[c] = (int8_t)mp_clamp(probability + INT8_MIN, INT8_MIN, INT8_MAX);
        }
    }
}
