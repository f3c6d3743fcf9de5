/* Largest or smallest value over some dimensions, int8. Reference: the other variants equal it bit for bit.
 *
 * in: any shape, seen through `walk`; out: its dimensions that stay, apart from in; workspace: none. */
#include "reduce_walk.h"

static int8_t extreme(const mp_reduce_walk *walk, int smallest, const int8_t *first)
{
    const uint32_t rows = mp_walk_rows(walk), stride = walk->reduced_stride[3];
    int8_t found = *first;
    for (uint32_t row = 0; row < rows; row++) {
        const int8_t *x = first + mp_walk_row(walk, row);
        for (uint32_t n = 0; n < walk->reduced[3]; n++) {
            if (smallest ? x[n * stride] < found : x[n * stride] > found) found = x[n * stride];
        }
    }
    return found;
}

void mp_reduce_extreme_s8_ref(const mp_reduce_extreme_s8 *op, const int8_t *in, int8_t *out)
{
    const uint32_t outputs = mp_walk_outputs(&op->walk);
    for (uint32_t o = 0; o < outputs; o++)
        out[o] = extreme(&op->walk, op->smallest, in + mp_walk_first(&op->walk, o));
}
