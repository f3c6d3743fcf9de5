/* lut_s16.h: a function of int16 as 513 entries, 128 apart, with lines between them. */
#ifndef MCUPRUNE_LUT_S16_H
#define MCUPRUNE_LUT_S16_H

#include <stdint.h>

/* Differences of entries, and what is added to one, wrap to 16 bits. LUTLookup of TensorFlow Lite. */
static inline int16_t mp_look_up_s16(const int16_t *table, int32_t x)
{
    const int16_t *entry = table + 256 + (x >> 7);
    const int16_t slope = (int16_t)(entry[1] - entry[0]);
    return (int16_t)(entry[0] + ((slope * (x & 127) + 64) >> 7));
}

#endif
