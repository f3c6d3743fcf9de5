/* rescale_mve.h: from accumulators to output bytes, four channels at a time; equals mp_rescale_s8().
 *
 * VQRDMULH is the first rounding (halves up), VRSHL the second, made to go away from zero by taking 1 from what is
 * negative. Which steps a layer needs is known ahead:
 *
 *   MP_ROUND_ANY      any shift
 *   MP_ROUND_RIGHT    every shift is -1 or less: no left shift, and what is negative always gives 1 away
 *   MP_ROUND_CLAMPED  in addition the output's zero point is its lowest value: negative results end there anyway */
#ifndef MCUPRUNE_RESCALE_MVE_H
#define MCUPRUNE_RESCALE_MVE_H

#include "mcuprune_nn.h"
#include "mp_mve.h"

#define MP_INLINE static inline __attribute__((always_inline))

typedef enum { MP_ROUND_ANY, MP_ROUND_RIGHT, MP_ROUND_CLAMPED } mp_rounding;

/* Parameters of four channels. */
typedef struct {
    mp_s32x4 bias, mult, shift;
} mp_rescale_s32x4;

/* What all channels have in common, in registers. */
typedef struct {
    int32_t zp;
    mp_s32x4 low, high;
} mp_output;

MP_INLINE mp_output mp_output_of(const mp_rescale *r)
{
    return (mp_output){r->out_zp, mp_fill_s32x4(r->act_min), mp_fill_s32x4(r->act_max)};
}

static inline mp_rounding mp_rounding_of(const mp_rescale *r, int only_right)
{
    if (!only_right) return MP_ROUND_ANY;
    return r->out_zp <= r->act_min ? MP_ROUND_CLAMPED : MP_ROUND_RIGHT;
}

/* Channels channel .. channel + n - 1, n <= 4. */
MP_INLINE mp_rescale_s32x4 mp_load_rescale(const mp_rescale *r, uint32_t channel, uint32_t n)
{
    if (n == 4) {
        return (mp_rescale_s32x4){mp_load_s32x4(r->bias + channel), mp_load_s32x4(r->mult + channel),
                                  mp_load_s8_s32x4(r->shift + channel)};
    }
    return (mp_rescale_s32x4){mp_load_s32x4_part(r->bias + channel, n), mp_load_s32x4_part(r->mult + channel, n),
                              mp_load_s8_s32x4_part(r->shift + channel, n)};
}

MP_INLINE mp_s32x4 mp_requant_s32x4(mp_s32x4 v, mp_s32x4 mult, mp_s32x4 shift, mp_rounding rounding)
{
    const mp_s32x4 zero = mp_fill_s32x4(0);
    if (rounding == MP_ROUND_ANY) {
        v = mp_shift_left_s32x4(v, mp_max_s32x4(shift, zero));
        shift = mp_min_s32x4(shift, zero);
    }
    v = mp_doubling_high_mul_s32x4(v, mult);
    if (rounding == MP_ROUND_ANY) v = mp_add_s32x4(v, mp_sign_s32x4(mp_and_s32x4(v, shift)));
    if (rounding == MP_ROUND_RIGHT) v = mp_add_to_negative_s32x4(v, -1);
    return mp_rounding_shift_s32x4(v, shift);
}

/* Accumulators without bias to values of the output. */
MP_INLINE mp_s32x4 mp_rescale_lanes(mp_s32x4 v, const mp_rescale_s32x4 *q, const mp_output *to, mp_rounding rounding)
{
    v = mp_requant_s32x4(mp_add_s32x4(v, q->bias), q->mult, q->shift, rounding);
    return mp_min_s32x4(mp_max_s32x4(mp_add_n_s32x4(v, to->zp), to->low), to->high);
}

MP_INLINE void mp_store_lanes(int8_t *out, mp_s32x4 v, uint32_t n)
{
    if (n == 4) {
        mp_store_low_s8(out, v);
    } else {
        mp_store_low_s8_part(out, v, n);
    }
}

#endif
