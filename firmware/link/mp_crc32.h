/* mp_crc32.h: CRC-32 as in IEEE 802.3 and zlib: polynomial 0xEDB88320 reflected, start and end inverted. */
#ifndef MCUPRUNE_CRC32_H
#define MCUPRUNE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of what gave `crc`, followed by `count` bytes; crc is 0 at the start, as in zlib's crc32(). */
uint32_t mp_crc32(uint32_t crc, const void *bytes, size_t count);

#endif
