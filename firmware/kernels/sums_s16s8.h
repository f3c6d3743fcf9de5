/* sums_s16s8.h: products of int16 activations and int8 weights, and from a 64-bit sum to an int16 output. */
#ifndef MCUPRUNE_SUMS_S16S8_H
#define MCUPRUNE_SUMS_S16S8_H

#include "mcuprune_nn.h"
#include "mp_numerics.h"

/* x[0] * w[0] + ... of `count` elements. 256 products of at most 2^22 add up in 32 bits. */
static inline int64_t mp_dot_s16s8(const int16_t *x, const int8_t *w, uint32_t count)
{
    int64_t sum = 0;
    while (count > 0) {
        const uint32_t run = count < 256 ? count : 256;
        int32_t part = 0;
        for (uint32_t i = 0; i < run; i++)
            part += *x++ * *w++;
        sum += part;
        count -= run;
    }
    return sum;
}

/* sum: without bias. */
static inline int16_t mp_rescaled_s16(const mp_rescale_s16 *r, uint32_t channel, int64_t sum)
{
    const int64_t acc = sum + r->bias[channel];
    const int32_t mult = r->mult[channel], shift = r->shift[channel];
    const int32_t value = r->wide ? mp_requant_wide(acc, mult, shift) : mp_requant((int32_t)acc, mult, shift);
    return (int16_t)mp_clamp(value, r->act_min, r->act_max);
}

#endif
