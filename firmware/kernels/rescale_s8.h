/* rescale_s8.h: from an accumulator to an output byte, the last step of every layer with weights. */
#ifndef MCUPRUNE_RESCALE_S8_H
#define MCUPRUNE_RESCALE_S8_H

#include "mcuprune_nn.h"
#include "mp_numerics.h"

static inline int8_t mp_clamp_s8(const mp_rescale *r, int32_t x)
{
    return (int8_t)mp_clamp(x + r->out_zp, r->act_min, r->act_max);
}

/* Rounds twice: convolutions. */
static inline int8_t mp_rescale_s8(const mp_rescale *r, uint32_t channel, int32_t acc)
{
    return mp_clamp_s8(r, mp_requant(acc, r->mult[channel], r->shift[channel]));
}

/* Rounds as mp_fc_shape.single_rounding says. */
static inline int8_t mp_rescale_fc_s8(const mp_rescale *r, int single_rounding, uint32_t channel, int32_t acc)
{
    if (!single_rounding) return mp_rescale_s8(r, channel, acc);
    return mp_clamp_s8(r, mp_requant_single(acc, r->mult[channel], r->shift[channel]));
}

#endif
