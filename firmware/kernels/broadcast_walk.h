/* broadcast_walk.h: the rows (stretches along the last dimension) of an output, and where they start in two inputs that
 * are broadcast to it. */
#ifndef MCUPRUNE_BROADCAST_WALK_H
#define MCUPRUNE_BROADCAST_WALK_H

#include <stdint.h>

/* Where a row is: its place along the outer dimensions, its first element in each input. All 0 at the first one. */
typedef struct {
    uint32_t at[3];
    uint32_t in1, in2;
} mp_walk;

/* On to the next row; 0 behind the last one. dims, strides: of four dimensions, strides in elements, 0 repeats. */
static inline int mp_next_row(mp_walk *walk, const uint32_t *dims, const uint32_t *stride1, const uint32_t *stride2)
{
    for (uint32_t d = 3; d-- > 0;) {
        walk->in1 += stride1[d];
        walk->in2 += stride2[d];
        if (++walk->at[d] < dims[d]) return 1;
        walk->in1 -= dims[d] * stride1[d];
        walk->in2 -= dims[d] * stride2[d];
        walk->at[d] = 0;
    }
    return 0;
}

#endif
