/* rows_gap.h: the walk along a gap-coded row, for the portable kernels. */
#ifndef MCUPRUNE_ROWS_GAP_H
#define MCUPRUNE_ROWS_GAP_H

#include "mcuprune_nn.h"

/* sum[j] += row * column j for n columns that lie `cols` apart from x on. Returns the next row's pairs.
 * n is a constant of 1, 2 or 4 at each call, so that the sums stay in registers and a pair is decoded once for all. */
static inline const uint8_t *mp_gap_row(const uint8_t *pairs, uint32_t count, const int8_t *x, uint32_t cols,
                                        uint32_t n, int32_t *sum)
{
    int32_t s0 = sum[0], s1 = n > 1 ? sum[1] : 0, s2 = n > 2 ? sum[2] : 0, s3 = n > 2 ? sum[3] : 0;
    for (const uint8_t *end = pairs + 2 * count; pairs != end; pairs += 2) {
        const int32_t w = (int8_t)pairs[1];
        x += pairs[0];
        s0 += w * x[0];
        if (n > 1) s1 += w * x[cols];
        if (n > 2) s2 += w * x[2 * cols], s3 += w * x[3 * cols];
    }
    sum[0] = s0;
    if (n > 1) sum[1] = s1;
    if (n > 2) sum[2] = s2, sum[3] = s3;
    return pairs;
}

#endif
