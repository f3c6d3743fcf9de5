/* Softmax in fixed point, int8. Reference: the other variants equal it bit for bit.
 *
 *   d[c]   = in[c] - max(in);  e[c] = exp(srdhm(d[c] * 2^shift, mult)) where d[c] >= diff_min, else 0
 *   out[c] = clamp(round(256 * e[c] / sum(e)) - 128, -128, 127)
 *
 * The argument of exp is Q5, e is Q0, the sum Q12, the reciprocal of the sum Q0 with an exponent. mult and shift (>= 0)
 * hold beta * in_scale * 2^26. in: (rows, cols), cols <= 4095; out: (rows, cols) with scale 1/256 and zero point -128;
 * workspace: none.
 * Source: reference_ops::Softmax in TensorFlow Lite, kernels/internal/reference/softmax.h. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

enum { SUM_INTEGER_BITS = 12 };

/* e of a difference that is not below diff_min, Q0. */
static int32_t exponential(const mp_softmax_s8 *op, int32_t diff)
{
    return mp_exp_q5(mp_saturating_doubling_high_mul(mp_shift_left(diff, op->shift), op->mult));
}

static void softmax_row(const mp_softmax_s8 *op, const int8_t *in, int8_t *out)
{
    int32_t max = INT8_MIN;
    for (uint32_t c = 0; c < op->cols; c++)
        max = in[c] > max ? in[c] : max;

    int32_t sum = 0;
    for (uint32_t c = 0; c < op->cols; c++) {
        const int32_t diff = in[c] - max;
        if (diff >= op->diff_min) sum += mp_rounding_divide_by_pot(exponential(op, diff), SUM_INTEGER_BITS);
    }
    const int32_t headroom = mp_leading_zeros((uint32_t)sum); /* sum = 2^(12 - headroom) * (1 + fraction) */
    const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - (1u << 31));
    const int32_t reciprocal = mp_reciprocal_one_plus_q0(fraction);
    const int32_t exponent = SUM_INTEGER_BITS - headroom + 31 - 8;

    for (uint32_t c = 0; c < op->cols; c++) {
        int32_t probability = 0;
        if (in[c] - max >= op->diff_min && exponent <= 31) {
            const int32_t ratio = mp_saturating_doubling_high_mul(reciprocal, exponential(op, in[c] - max));
            probability = mp_rounding_divide_by_pot(ratio, exponent);
        }
        out[c] = (int8_t)mp_clamp(probability - 128, INT8_MIN, INT8_MAX);
    }
}

void mp_softmax_s8_ref(const mp_softmax_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++)
        softmax_row(op, in + r * op->cols, out + r * op->cols);
}
