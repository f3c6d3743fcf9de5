/* reduce_walk.h: where the elements lie that one output of a reduction is made of. */
#ifndef MCUPRUNE_REDUCE_WALK_H
#define MCUPRUNE_REDUCE_WALK_H

#include "mcuprune_nn.h"

/* How many outputs there are. */
static inline uint32_t mp_walk_outputs(const mp_reduce_walk *walk)
{
    return walk->kept[0] * walk->kept[1] * walk->kept[2] * walk->kept[3];
}

/* Offset of the first element of an output. */
static inline uint32_t mp_walk_first(const mp_reduce_walk *walk, uint32_t output)
{
    uint32_t offset = 0;
    for (int i = 3; i >= 0; i--) {
        offset += output % walk->kept[i] * walk->kept_stride[i];
        output /= walk->kept[i];
    }
    return offset;
}

/* How many rows the elements of an output lie in; a row has reduced[3] elements, reduced_stride[3] apart. */
static inline uint32_t mp_walk_rows(const mp_reduce_walk *walk)
{
    return walk->reduced[0] * walk->reduced[1] * walk->reduced[2];
}

/* Offset of a row from the first element. */
static inline uint32_t mp_walk_row(const mp_reduce_walk *walk, uint32_t row)
{
    uint32_t offset = 0;
    for (int i = 2; i >= 0; i--) {
        offset += row % walk->reduced[i] * walk->reduced_stride[i];
        row /= walk->reduced[i];
    }
    return offset;
}

#endif
