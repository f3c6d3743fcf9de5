/* Rows by the inverse root of the sum of their squares, int8. Reference: the other variants equal it bit for bit.
 *
 *   out[r][c] = clamp(128 * x[r][c] / sqrt(sum of x[r]^2), -128, 127),   x = in - in_zp
 *
 * in, out: (rows, cols), apart; workspace: none. Arithmetic: docs/numerics.md. */
#include "inverse_root.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

void mp_l2_normalization_s8_ref(const mp_l2_normalization_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++, in += op->cols, out += op->cols) {
        int32_t squares = 0;
        for (uint32_t c = 0; c < op->cols; c++)
            squares += (in[c] - op->in_zp) * (in[c] - op->in_zp);
        const mp_factor f = mp_inverse_root(squares);
        for (uint32_t c = 0; c < op->cols; c++)
            out[c] = (int8_t)mp_clamp(mp_requant(in[c] - op->in_zp, f.mult, f.shift + 7), INT8_MIN, INT8_MAX);
    }
}
