/* source_position.h: which input position of a transposed convolution meets an output. */
#ifndef MCUPRUNE_SOURCE_POSITION_H
#define MCUPRUNE_SOURCE_POSITION_H

#include <stdint.h>

/* The input position whose tap k falls on a place (with padding), -1 where there is none. */
static inline int32_t mp_source_position(int32_t place, int32_t k, int32_t stride, int32_t size)
{
    const int32_t offset = place - k;
    if (offset < 0 || offset % stride != 0) return -1;
    return offset / stride < size ? offset / stride : -1;
}

#endif
