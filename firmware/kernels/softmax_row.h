/* softmax_row.h: softmax of a row of int8 in fixed point, for outputs of 8 and of 16 bits.
 *
 *   d[c] = in[c] - max(in);  e[c] = exp(srdhm(d[c] * 2^shift, mult)) where d[c] >= diff_min, else 0
 *
 * The argument of exp is Q5, e is Q0, the sum Q12, the reciprocal of the sum Q0 with an exponent. mult and shift (>= 0)
 * hold beta * in_scale * 2^26.
 * Source: reference_ops::Softmax in TensorFlow Lite, kernels/internal/reference/softmax.h. */
#ifndef MCUPRUNE_SOFTMAX_ROW_H
#define MCUPRUNE_SOFTMAX_ROW_H

#include "mcuprune_nn.h"
#include "mp_numerics.h"

enum { MP_SOFTMAX_SUM_BITS = 12 };

typedef struct {
    int32_t max;
    int32_t reciprocal, exponent; /* of the sum; probability = srdhm(reciprocal, e) / 2^exponent */
} mp_softmax_row;

/* e of a difference that is not below diff_min, Q0. */
static inline int32_t mp_softmax_exponential(const mp_softmax_s8 *op, int32_t diff)
{
    return mp_exp_q5(mp_saturating_doubling_high_mul(mp_shift_left(diff, op->shift), op->mult));
}

/* What all outputs of a row share; `bits` is the width of an output. */
static inline mp_softmax_row mp_softmax_begin(const mp_softmax_s8 *op, const int8_t *in, int32_t bits)
{
    int32_t max = INT8_MIN;
    for (uint32_t c = 0; c < op->cols; c++)
        max = in[c] > max ? in[c] : max;

    int32_t sum = 0;
    for (uint32_t c = 0; c < op->cols; c++) {
        const int32_t diff = in[c] - max;
        if (diff >= op->diff_min)
            sum += mp_rounding_divide_by_pot(mp_softmax_exponential(op, diff), MP_SOFTMAX_SUM_BITS);
    }
    const int32_t headroom = mp_leading_zeros((uint32_t)sum); /* sum = 2^(12 - headroom) * (1 + fraction) */
    const int32_t fraction = (int32_t)(((uint32_t)sum << headroom) - (1u << 31));
    return (mp_softmax_row){
        .max = max,
        .reciprocal = mp_reciprocal_one_plus_q0(fraction),
        .exponent = MP_SOFTMAX_SUM_BITS - headroom + 31 - bits,
    };
}

/* The probability of one value, in steps of 2^-bits. */
static inline int32_t mp_softmax_probability(const mp_softmax_s8 *op, const mp_softmax_row *row, int32_t value)
{
    const int32_t diff = value - row->max;
    if (diff < op->diff_min || row->exponent > 31) return 0;
    const int32_t ratio = mp_saturating_doubling_high_mul(row->reciprocal, mp_softmax_exponential(op, diff));
    return mp_rounding_divide_by_pot(ratio, row->exponent);
}

#endif
