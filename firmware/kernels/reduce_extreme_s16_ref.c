/* Largest or smallest value over some dimensions, int16.
 *
 * in: any shape, seen through `walk`; out: its dimensions that stay, apart from in; workspace: none. */
#include "reduce_walk.h"

static int16_t extreme(const mp_reduce_walk *walk, int smallest, const int16_t *first)
{
    const uint32_t rows = mp_walk_rows(walk), stride = walk->reduced_stride[3];
    int16_t found = *first;
    for (uint32_t row = 0; row < rows; row++) {
        const int16_t *x = first + mp_walk_row(walk, row);
        for (uint32_t n = 0; n < walk->reduced[3]; n++) {
            if (smallest ? x[n * stride] < found : x[n * stride] > found) found = x[n * stride];
        }
    }
    return found;
}

void mp_reduce_extreme_s16_ref(const mp_reduce_extreme_s8 *op, const int16_t *in, int16_t *out)
{
    const uint32_t outputs = mp_walk_outputs(&op->walk);
    for (uint32_t o = 0; o < outputs; o++)
        out[o] = extreme(&op->walk, op->smallest, in + mp_walk_first(&op->walk, o));
}
