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

/* *out++ = element(op, x1, x2) as out_type for each element of an output: op has dims, stride1 and stride2 as
 * mp_broadcast, the inputs are of in_type. */
#define MP_EACH_PAIR(op, in_type, first, second, out_type, out, element)                                               \
    do {                                                                                                               \
        const uint32_t step1 = (op)->stride1[3], step2 = (op)->stride2[3];                                             \
        mp_walk walk = {{0}, 0, 0};                                                                                    \
        do {                                                                                                           \
            const in_type *x1 = (first) + walk.in1, *x2 = (second) + walk.in2;                                         \
            for (uint32_t left = (op)->dims[3]; left > 0; left--, x1 += step1, x2 += step2)                            \
                *(out)++ = (out_type)element((op), *x1, *x2);                                                          \
        } while (mp_next_row(&walk, (op)->dims, (op)->stride1, (op)->stride2));                                        \
    } while (0)

#endif
