/* Elementwise sum with broadcast, int8, for MVE: four elements at a time. Equals mp_add_s8_ref bit for bit.
 *
 * Preconditions: the inputs' strides along the last dimension are 0 or 1; every shift is 0 or less. out may be an input
 * that is not broadcast. Workspace: none. */
#include "mcuprune_nn.h"
#include "mp_mve.h"

/* mp_requant() of a shift to the right. */
static inline mp_s32x4 requant(mp_s32x4 v, int32_t mult, int32_t shift)
{
    const int32_t away = shift < 0 ? -1 : 0; /* without a second rounding nothing goes away from zero */
    v = mp_add_to_negative_s32x4(mp_doubling_high_mul_n_s32x4(v, mult), away);
    return mp_rounding_shift_n_s32x4(v, shift);
}

static inline mp_s32x4 term(mp_s32x4 x, int32_t offset, int32_t left, int32_t mult, int32_t shift)
{
    return requant(mp_shift_left_n_s32x4(mp_add_n_s32x4(x, offset), left), mult, shift);
}

static inline __attribute__((always_inline)) mp_s32x4 add(const mp_add_s8 *op, mp_s32x4 x1, mp_s32x4 x2, mp_s32x4 low,
                                                          mp_s32x4 high)
{
    const mp_s32x4 a1 = term(x1, op->in1_offset, op->left_shift, op->mult1, op->shift1);
    const mp_s32x4 a2 = term(x2, op->in2_offset, op->left_shift, op->mult2, op->shift2);
    const mp_s32x4 v = mp_add_n_s32x4(requant(mp_add_s32x4(a1, a2), op->out_mult, op->out_shift), op->out_zp);
    return mp_min_s32x4(mp_max_s32x4(v, low), high);
}

/* Up to four elements, or one four times. */
static inline mp_s32x4 elements(const int8_t *x, uint32_t stride, uint32_t n)
{
    return stride == 0 ? mp_fill_s32x4(*x) : mp_load_s8_s32x4_part(x, n);
}

/* `size` elements of the last dimension, or of all that lie together. */
static void add_row(const mp_add_s8 *shared, uint32_t size, const int8_t *x1, const int8_t *x2, int8_t *out)
{
    const mp_add_s8 op = *shared; /* outputs are bytes, which may be anything: a copy need not be read again */
    const mp_s32x4 low = mp_fill_s32x4(op.act_min), high = mp_fill_s32x4(op.act_max);
    const uint32_t s1 = op.stride1[3], s2 = op.stride2[3];
    if (s1 == 1 && s2 == 1) {
        for (uint32_t n = size / 4; n > 0; n--, x1 += 4, x2 += 4, out += 4)
            mp_store_low_s8(out, add(&op, mp_load_s8_s32x4(x1), mp_load_s8_s32x4(x2), low, high));
        size %= 4;
    }
    for (uint32_t i = 0; i < size; i += 4) {
        const uint32_t n = size - i < 4 ? size - i : 4;
        const mp_s32x4 v = add(&op, elements(x1 + i * s1, s1, n), elements(x2 + i * s2, s2, n), low, high);
        mp_store_low_s8_part(out + i, v, n);
    }
}

/* Whether an input lies like the output. */
static int is_whole(const uint32_t *stride, const uint32_t *dims)
{
    uint32_t size = 1;
    for (int i = 3; i >= 0; size *= dims[i], i--) {
        if (dims[i] > 1 && stride[i] != size) return 0;
    }
    return 1;
}

void mp_add_s8_mve(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t *s1 = op->stride1, *s2 = op->stride2, *dims = op->dims;
    if (s1[3] == 1 && s2[3] == 1 && is_whole(s1, dims) && is_whole(s2, dims)) {
        add_row(op, dims[0] * dims[1] * dims[2] * dims[3], in1, in2, out);
        return;
    }
    for (uint32_t i = 0; i < dims[0]; i++) {
        for (uint32_t j = 0; j < dims[1]; j++) {
            for (uint32_t k = 0; k < dims[2]; k++, out += dims[3]) {
                const int8_t *x1 = in1 + i * s1[0] + j * s1[1] + k * s1[2];
                const int8_t *x2 = in2 + i * s2[0] + j * s2[1] + k * s2[2];
                add_row(op, dims[3], x1, x2, out);
            }
        }
    }
}
