/* Rows by the inverse root of the sum of their squares, int8. Reference: the other variants equal it bit for bit.
 *
 *   out[r][c] = clamp(128 * x[r][c] / sqrt(sum of x[r]^2), -128, 127),   x = in - in_zp
 *
 * in, out: (rows, cols), apart; workspace: none. Arithmetic: docs/numerics.md. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

typedef struct {
    int32_t mult, shift; /* positive is left */
} factor;

/* 1 / sqrt(x) for 0 <= x < 2^29; of 0 that of 1. GetInvSqrtQuantizedMultiplierExp. */
static factor inverse_root(int32_t x)
{
    if (x <= 1) return (factor){INT32_MAX, 0};
    const int32_t pairs = (mp_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    const int32_t half = mp_rounding_divide_by_pot(mp_shift_left(x, 2 * pairs) >> 1, 1);
    const int32_t three_halves = (1 << 28) + (1 << 27); /* Q3 */
    int32_t root = 1 << 28;
    for (int i = 0; i < 5; i++) {
        const int32_t square = mp_saturating_doubling_high_mul(root, root);
        const int32_t cube = mp_saturating_shift_left(mp_saturating_doubling_high_mul(square, root), 6);
        const int32_t first = mp_saturating_doubling_high_mul(three_halves, root);
        root = mp_saturating_shift_left(first - mp_saturating_doubling_high_mul(half, cube), 3);
    }
    const int32_t sqrt_half = 1518500250, mult = mp_saturating_doubling_high_mul(root, sqrt_half), right = 11 - pairs;
    return right < 0 ? (factor){mp_shift_left(mult, -right), 0} : (factor){mult, -right};
}

void mp_l2_normalization_s8_ref(const mp_l2_normalization_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++, in += op->cols, out += op->cols) {
        int32_t squares = 0;
        for (uint32_t c = 0; c < op->cols; c++)
            squares += (in[c] - op->in_zp) * (in[c] - op->in_zp);
        const factor f = inverse_root(squares);
        for (uint32_t c = 0; c < op->cols; c++)
            out[c] = (int8_t)mp_clamp(mp_requant(in[c] - op->in_zp, f.mult, f.shift + 7), INT8_MIN, INT8_MAX);
    }
}
