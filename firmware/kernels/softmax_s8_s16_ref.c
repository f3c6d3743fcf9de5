/* Softmax in fixed point, int8 to int16. Reference: the other variants equal it bit for bit.
 *
 *   out[c] = clamp(round(2^16 * e[c] / sum(e)) - 2^15), e as in softmax_row.h
 *
 * in: (rows, cols), cols <= 4095; out: (rows, cols) with scale 1/65536 and zero point -2^15; workspace: none. */
#include "softmax_row.h"

void mp_softmax_s8_s16_ref(const mp_softmax_s8 *op, const int8_t *in, int16_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++, in += op->cols, out += op->cols) {
        const mp_softmax_row row = mp_softmax_begin(op, in, 16);
        for (uint32_t c = 0; c < op->cols; c++) {
            const int32_t probability = mp_softmax_probability(op, &row, in[c]);
            out[c] = (int16_t)mp_clamp(probability + INT16_MIN, INT16_MIN, INT16_MAX);
        }
    }
}
