/* Elementwise sum with broadcast, int8, for MVE: four elements at a time. Equals mp_add_s8_ref bit for bit.
 *
 * Precondition: the inputs' strides along the last dimension are 0 or 1, as those of lowered layers are; the multipliers
 * shift to the right or not at all. out may be an input that is not broadcast. Workspace: none. */
#include "rescale_mve.h"

/* Multiplier and shift of an input, and what it is made of. */
typedef struct {
    int32_t offset;
    mp_s32x4 mult, shift;
} term;

static inline mp_s32x4 scaled(const term *t, mp_s32x4 x, mp_s32x4 left)
{
    const mp_s32x4 v = mp_shift_left_s32x4(mp_add_n_s32x4(x, t->offset), left);
    return mp_requant_s32x4(v, t->mult, t->shift, MP_ROUND_ANY);
}

/* Up to four elements, or one four times. */
static inline mp_s32x4 elements(const int8_t *x, uint32_t stride, uint32_t n)
{
    return stride == 0 ? mp_fill_s32x4(*x) : mp_load_s8_s32x4_part(x, n);
}

/* `size` elements of the last dimension, or of all that lie together. */
static void add_row(const mp_add_s8 *op, uint32_t size, const int8_t *x1, const int8_t *x2, int8_t *out)
{
    const term t1 = {op->in1_offset, mp_fill_s32x4(op->mult1), mp_fill_s32x4(op->shift1)};
    const term t2 = {op->in2_offset, mp_fill_s32x4(op->mult2), mp_fill_s32x4(op->shift2)};
    const mp_s32x4 mult = mp_fill_s32x4(op->out_mult), shift = mp_fill_s32x4(op->out_shift);
    const mp_s32x4 left = mp_fill_s32x4(op->left_shift);
    const mp_s32x4 low = mp_fill_s32x4(op->act_min), high = mp_fill_s32x4(op->act_max);
    const uint32_t s1 = op->stride1[3], s2 = op->stride2[3];
    for (uint32_t i = 0; i < size; i += 4) {
        const uint32_t n = size - i < 4 ? size - i : 4;
        const mp_s32x4 a1 = scaled(&t1, elements(x1 + i * s1, s1, n), left);
        const mp_s32x4 a2 = scaled(&t2, elements(x2 + i * s2, s2, n), left);
        mp_s32x4 v = mp_requant_s32x4(mp_add_s32x4(a1, a2), mult, shift, MP_ROUND_ANY);
        v = mp_add_n_s32x4(v, op->out_zp);
        mp_store_low_s8_part(out + i, mp_min_s32x4(mp_max_s32x4(v, low), high), n);
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
