/* rows_bitmap.h: the walk along a bitmap-coded row, for the portable kernels. */
#ifndef MCUPRUNE_ROWS_BITMAP_H
#define MCUPRUNE_ROWS_BITMAP_H

#include "mcuprune_nn.h"

/* Lowest set bit of a byte that is not 0: cheaper than counting zeros on every core, and v6-M has no such instruction. */
extern const uint8_t mp_lowest_bit[256];

/* Bytes of one row's mask. */
static inline uint32_t mp_bitmap_row_bytes(uint32_t cols) { return (cols + 7) / 8; }

/* sum[j] += row * column j for n columns that lie `cols` apart from x on; cols > 0. Returns the next row's nonzeros.
 * n is a constant of 1, 2 or 4 at each call, so that the sums stay in registers and a bit is found once for all. */
static inline const int8_t *mp_bitmap_row(const uint8_t *mask, const int8_t *nz, const int8_t *x, uint32_t cols,
                                          uint32_t n, int32_t *sum)
{
    int32_t s0 = sum[0], s1 = n > 1 ? sum[1] : 0, s2 = n > 2 ? sum[2] : 0, s3 = n > 2 ? sum[3] : 0;
    for (const uint8_t *end = mask + mp_bitmap_row_bytes(cols);; x += 8) {
        for (uint32_t bits = *mask++; bits; bits &= bits - 1) {
            const int8_t *v = x + mp_lowest_bit[bits];
            const int32_t w = *nz++;
            s0 += w * v[0];
            if (n > 1) s1 += w * v[cols];
            if (n > 2) s2 += w * v[2 * cols], s3 += w * v[3 * cols];
        }
        if (mask == end) break;
    }
    sum[0] = s0;
    if (n > 1) sum[1] = s1;
    if (n > 2) sum[2] = s2, sum[3] = s3;
    return nz;
}

#endif
