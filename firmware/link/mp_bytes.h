/* mp_bytes.h: little-endian numbers in byte strings, at any alignment. */
#ifndef MCUPRUNE_BYTES_H
#define MCUPRUNE_BYTES_H

#include <stdint.h>

static inline uint16_t mp_get16(const uint8_t *from) { return (uint16_t)(from[0] | (uint32_t)from[1] << 8); }

static inline uint32_t mp_get32(const uint8_t *from) { return mp_get16(from) | (uint32_t)mp_get16(from + 2) << 16; }

/* The put functions return the place after the number. */
static inline uint8_t *mp_put8(uint8_t *to, uint32_t value)
{
    *to = (uint8_t)value;
    return to + 1;
}

static inline uint8_t *mp_put16(uint8_t *to, uint32_t value)
{
    return mp_put8(mp_put8(to, value & 0xFF), value >> 8 & 0xFF);
}

static inline uint8_t *mp_put32(uint8_t *to, uint32_t value)
{
    return mp_put16(mp_put16(to, value & 0xFFFF), value >> 16);
}

static inline uint8_t *mp_put64(uint8_t *to, uint64_t value)
{
    return mp_put32(mp_put32(to, (uint32_t)value), (uint32_t)(value >> 32));
}

#endif
