/* Elementwise sum of two tensors of one shape, int8, for cores with the DSP extension. Equals add_s8_ref.c.
 *
 * The input of the larger scale has the multiplier 1/2 (2^30, shift 0), so that a = (in + offset) * 2^19 exactly; the
 * other one has that, too, or a right shift of 1..22; the result a right shift of 1..22; left_shift is 20. A rounded
 * product with a right shift is
 *
 *   (SMMLAR(2 * x, mult, 2^(right - 1)) - (x < 0)) >> right
 *
 * dims, strides: one stretch of prod(dims) elements. out may be an input; workspace: none. */
#include "clamp_s8.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"
#include "mp_simd.h"

enum { LEFT = 20 };

typedef struct {
    int32_t mult, half, right;
} scale;

static inline scale scale_of(int32_t mult, int32_t shift, int32_t zp)
{
    const scale s = {mult, mp_shift_left(1, -shift - 1) + mp_shift_left(zp, -shift), -shift};
    return s;
}

/* requant(twice / 2, ...), plus the zero point that lies in half. */
static inline int32_t apply(scale s, int32_t twice)
{
    return (mp_smmlar(twice, s.mult, s.half) + (twice >> 31)) >> s.right;
}

/* Both inputs have the larger scale. */
static void add_equal(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, const int8_t *end, int8_t *out)
{
    const scale last = scale_of(op->out_mult, op->out_shift, op->out_zp);
    const int32_t start = mp_shift_left(op->in1_offset + op->in2_offset, LEFT);
#pragma GCC unroll 2
    while (out != end)
        *out++ = mp_ssat_s8(apply(last, start + mp_shift_left(*in1++ + *in2++, LEFT)));
}

/* `plain` has the larger scale. */
static void add_scaled(const mp_add_s8 *op, const int8_t *plain, int32_t plain_offset, const int8_t *other,
                       int32_t other_offset, scale in, const int8_t *end, int8_t *out)
{
    const scale last = scale_of(op->out_mult, op->out_shift, op->out_zp);
    const int32_t start = mp_shift_left(other_offset, LEFT + 1), twice_start = mp_shift_left(plain_offset, LEFT);
#pragma GCC unroll 2
    while (out != end) {
        const int32_t a = apply(in, start + mp_shift_left(*other++, LEFT + 1));
        *out++ = mp_ssat_s8(apply(last, 2 * a + twice_start + mp_shift_left(*plain++, LEFT)));
    }
}

void mp_add_s8_dsp(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const int half1 = op->mult1 == 1 << 30 && op->shift1 == 0, half2 = op->mult2 == 1 << 30 && op->shift2 == 0;
    const uint32_t size = op->dims[0] * op->dims[1] * op->dims[2] * op->dims[3];
    const int8_t *end = out + size;
    if (half1 && half2) {
        add_equal(op, in1, in2, end, out);
    } else if (half1) {
        add_scaled(op, in1, op->in1_offset, in2, op->in2_offset, scale_of(op->mult2, op->shift2, 0), end, out);
    } else {
        add_scaled(op, in2, op->in2_offset, in1, op->in1_offset, scale_of(op->mult1, op->shift1, 0), end, out);
    }
    mp_clamp_range(out, size, op->act_min, op->act_max);
}
