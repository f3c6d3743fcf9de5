/* Elementwise sum of two tensors of one shape, int8, for cores with the DSP extension. Equals add_s8_ref.c.
 *
 * The input of the larger scale has the multiplier 1/2 (2^30, shift 0), so that a = (in + offset) * 2^19 exactly; the other
 * one has that, too, or a right shift of 1..22; the result a right shift of 1..22; left_shift is 20. A rounded product with a
 * right shift is
 *
 *   (SMMLAR(2 * x, mult, 2^(right - 1)) - (x < 0)) >> right
 *
 * dims, strides: one stretch of prod(dims) elements. out may be an input; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"
#include "mp_simd.h"

enum { LEFT = 20 };

typedef struct {
    int32_t mult, half, right;
} scale;

static scale scale_of(int32_t mult, int32_t shift, int32_t zp)
{
    const scale s = {mult, mp_shift_left(1, -shift - 1) + mp_shift_left(zp, -shift), -shift};
    return s;
}

/* requant(twice / 2, ...), plus the zero point that lies in half. */
static inline int32_t apply(scale s, int32_t twice) { return (mp_smmlar(twice, s.mult, s.half) + (twice >> 31)) >> s.right; }

void mp_add_s8_dsp(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const int swap = op->mult1 != 1 << 30 || op->shift1 != 0; /* then in2 has the multiplier 1/2 */
    const int8_t *plain = swap ? in2 : in1, *other = swap ? in1 : in2;
    const int32_t plain_offset = swap ? op->in2_offset : op->in1_offset;
    const int32_t offset = swap ? op->in1_offset : op->in2_offset, mult = swap ? op->mult1 : op->mult2;
    const int32_t shift = swap ? op->shift1 : op->shift2;
    const int32_t up = shift == 0 ? LEFT + 2 : LEFT + 1; /* a multiplier of 1/2 is 1/4 of twice as much */
    const scale in = scale_of(mult, shift == 0 ? -1 : shift, 0), last = scale_of(op->out_mult, op->out_shift, op->out_zp);
    const int32_t start = mp_shift_left(offset, up), twice_start = mp_shift_left(plain_offset, LEFT);
    const int32_t low = op->act_min, high = op->act_max;
    const int8_t *end = out + op->dims[0] * op->dims[1] * op->dims[2] * op->dims[3];
    int8_t *to = out;
#pragma GCC unroll 4
    for (; to != end; to++) {
        const int32_t a = apply(in, start + mp_shift_left(*other++, up));
        const int32_t twice = 2 * a + twice_start + mp_shift_left(*plain++, LEFT);
        *to = mp_ssat_s8(apply(last, twice));
    }
    if (low == INT8_MIN && high == INT8_MAX) return;
    for (to = out; to != end; to++)
        *to = (int8_t)mp_clamp(*to, low, high);
}
