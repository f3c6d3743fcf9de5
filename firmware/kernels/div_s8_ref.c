/* Elementwise quotient with broadcast, int8. Reference: the other variants equal it bit for bit.
 *
 *   a_i = in_i + in_i_offset; both change sign where a_2 < 0; a_2 = 1 where it is 0
 *   n = bits of a_2, r = 2^n / (2 * a_2) in Q0.31, h = sign bits of a_1 beside the first
 *   out = clamp(rdbp(srdhm(srdhm(a_1 * 2^h, r), mult), h + n - 1 - shift) + out_zp, act_min, act_max)
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: DivElementwise in TensorFlow Lite, reference/div.h; it stops where a_2 is 0. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

/* Bits of 0..511. */
static int32_t bits_of(int32_t x)
{
    int32_t n = 0;
    for (; x > 0; x >>= 1)
        n++;
    return n;
}

static int32_t divide(const mp_mul_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t d = x2 + op->in2_offset;
    const int32_t a1 = d < 0 ? -(x1 + op->in1_offset) : x1 + op->in1_offset;
    const int32_t a2 = d < 0 ? -d : d > 0 ? d : 1;
    const int32_t n = bits_of(a2), h = 31 - bits_of(a1 < 0 ? ~a1 : a1);
    const int32_t inverse = mp_reciprocal_one_plus_q0((int32_t)(((uint32_t)a2 << (32 - n)) - (1u << 31)));
    const int32_t quotient = mp_saturating_doubling_high_mul(mp_shift_left(a1, h), inverse);
    const int32_t scaled = mp_saturating_doubling_high_mul(quotient, op->mult);
    const int32_t stored = mp_rounding_divide_by_pot(scaled, h + n - 1 - op->shift) + op->out_zp;
    return mp_clamp(stored, op->act_min, op->act_max);
}

void mp_div_s8_ref(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    MP_EACH_PAIR(op, int8_t, in1, in2, int8_t, out, divide);
}
