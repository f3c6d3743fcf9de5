/* rows_rice.h: the walk along a Rice-coded row, for the portable kernels. */
#ifndef MCUPRUNE_ROWS_RICE_H
#define MCUPRUNE_ROWS_RICE_H

#include "mcuprune_nn.h"

/* Where a walk stands: `have` bits are left in the low end of `window`. */
typedef struct {
    const uint8_t *next;
    const int8_t *nz;
    uint32_t window, have, k;
} mp_rice_reader;

static inline mp_rice_reader mp_rice_start(const mp_rice *weights)
{
    return (mp_rice_reader){weights->bits, weights->nz, 0, 0, weights->k};
}

/* The next n bits, 0 <= n <= 8. Reads no byte before it is needed. */
static inline uint32_t mp_rice_bits(mp_rice_reader *r, uint32_t n)
{
    if (r->have < n) r->window = r->window << 8 | *r->next++, r->have += 8;
    r->have -= n;
    return r->window >> r->have & ((1u << n) - 1);
}

/* Zeros before the next nonzero. */
static inline uint32_t mp_rice_gap(mp_rice_reader *r)
{
    uint32_t high = 0;
    while (!mp_rice_bits(r, 1))
        high++;
    return high << r->k | mp_rice_bits(r, r->k);
}

/* sum[j] += row * column j for n columns that lie `cols` apart from x on, over the next `count` nonzeros.
 * n is a constant of 1, 2 or 4 at each call, so that the sums stay in registers and a code is read once for all. */
static inline void mp_rice_row(mp_rice_reader *reader, uint32_t count, const int8_t *x, uint32_t cols, uint32_t n,
                               int32_t *sum)
{
    mp_rice_reader r = *reader;
    int32_t s0 = sum[0], s1 = n > 1 ? sum[1] : 0, s2 = n > 2 ? sum[2] : 0, s3 = n > 2 ? sum[3] : 0;
    for (; count > 0; count--, x++) {
        const int32_t w = *r.nz++;
        x += mp_rice_gap(&r);
        s0 += w * x[0];
        if (n > 1) s1 += w * x[cols];
        if (n > 2) s2 += w * x[2 * cols], s3 += w * x[3 * cols];
    }
    sum[0] = s0;
    if (n > 1) sum[1] = s1;
    if (n > 2) sum[2] = s2, sum[3] = s3;
    *reader = r;
}

#endif
