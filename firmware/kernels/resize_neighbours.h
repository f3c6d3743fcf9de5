/* resize_neighbours.h: the two pixels along a dimension that an output of a bilinear interpolation lies between. */
#ifndef MCUPRUNE_RESIZE_NEIGHBOURS_H
#define MCUPRUNE_RESIZE_NEIGHBOURS_H

#include "mcuprune_nn.h"

typedef struct {
    int32_t lower, upper, weight;
} mp_neighbours;

static inline mp_neighbours mp_neighbours_of(uint32_t i, int32_t step, int32_t start, int32_t size)
{
    const int32_t place = (int32_t)i * step + start;
    mp_neighbours n;
    n.lower = place / 1024 > 0 ? place / 1024 : 0;
    n.upper = (place + 1023) / 1024 < size - 1 ? (place + 1023) / 1024 : size - 1;
    n.weight = place - 1024 * n.lower;
    return n;
}

#endif
