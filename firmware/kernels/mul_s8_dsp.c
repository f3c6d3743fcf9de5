/* Elementwise product with broadcast, int8, for cores with the DSP extension. Equals mul_s8_ref.c.
 *
 * A right shift of 2..15, so that the rounded product, which is below 2^16, is scaled by two multiplications:
 *
 *   high = SMMULR(2 * product, mult);  out = SSAT8(SMMLAR(high, 2^(32 - right) + 1, out_zp))
 *
 * 2^(32 - right) alone would round halves up; the 1 takes those below zero down and moves nothing else, as
 * |high| < 2^(32 - right). in, out, dims, strides: as in the reference; workspace: none. */
#include "clamp_s8.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"
#include "mp_simd.h"

static void multiply_row(const mp_mul_s8 *op, const int8_t *x1, uint32_t step1, const int8_t *x2, uint32_t step2,
                         int8_t *out)
{
    const int32_t offset1 = op->in1_offset, offset2 = op->in2_offset, mult = op->mult, zp = op->out_zp;
    const int32_t factor = mp_shift_left(1, 32 + op->shift) + 1;
#pragma GCC unroll 2
    for (const int8_t *end = out + op->dims[3]; out != end; x1 += step1, x2 += step2) {
        const int32_t product = (*x1 + offset1) * (*x2 + offset2);
        *out++ = mp_ssat_s8(mp_smmlar(mp_smmulr(2 * product, mult), factor, zp));
    }
}

void mp_mul_s8_dsp(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t *s1 = op->stride1, *s2 = op->stride2;
    int8_t *to = out;
    for (uint32_t i = 0; i < op->dims[0]; i++) {
        for (uint32_t j = 0; j < op->dims[1]; j++) {
            for (uint32_t k = 0; k < op->dims[2]; k++, to += op->dims[3]) {
                const int8_t *x1 = in1 + i * s1[0] + j * s1[1] + k * s1[2];
                const int8_t *x2 = in2 + i * s2[0] + j * s2[1] + k * s2[2];
                multiply_row(op, x1, s1[3], x2, s2[3], to);
            }
        }
    }
    mp_clamp_range(out, (size_t)(to - out), op->act_min, op->act_max);
}
