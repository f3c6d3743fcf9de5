/* rows_block.h: the walk along one output channel of block-coded rows, for the portable kernels. */
#ifndef MCUPRUNE_ROWS_BLOCK_H
#define MCUPRUNE_ROWS_BLOCK_H

#include "mcuprune_nn.h"

/* One output channel of a group of rows. */
typedef struct {
    const uint8_t *gap;         /* of the group */
    const int8_t *values;       /* this channel's weights in the group's first block */
    uint32_t blocks;            /* of the group */
    uint32_t block_cols, bytes; /* columns and bytes of a block */
    uint32_t cols;              /* of the matrix */
} mp_block_row;

/* The channel's sums over `blocks` blocks, of which `width` columns lie in the matrix; returns where the last one lies.
 * sum[j] += row * column j for n columns that lie cols apart from x on; n is a constant of 1, 2 or 4 at each call. */
static inline const int8_t *mp_block_span(const mp_block_row *row, uint32_t blocks, uint32_t width, const int8_t *x,
                                          uint32_t n, int32_t *sum)
{
    const uint32_t cols = row->cols, block_cols = row->block_cols, bytes = row->bytes;
    const uint8_t *gap = row->gap;
    const int8_t *w = row->values;
    int32_t s0 = sum[0], s1 = n > 1 ? sum[1] : 0, s2 = n > 2 ? sum[2] : 0, s3 = n > 2 ? sum[3] : 0;
    for (const uint8_t *end = gap + blocks; gap != end; w += bytes) {
        x += *gap++ * block_cols;
        for (uint32_t c = 0; c < width; c++) {
            const int8_t *v = x + c;
            s0 += w[c] * v[0];
            if (n > 1) s1 += w[c] * v[cols];
            if (n > 2) s2 += w[c] * v[2 * cols], s3 += w[c] * v[3 * cols];
        }
    }
    sum[0] = s0;
    if (n > 1) sum[1] = s1;
    if (n > 2) sum[2] = s2, sum[3] = s3;
    return x;
}

/* sum[j] += row * column j for n columns. Blocks of 1, 2 and 4 columns have loops of their own. Only the last block can
 * cross the matrix's edge: its weights there are zeros, and what lies there in memory is not read. */
static inline void mp_block_walk(mp_block_row row, const int8_t *x, uint32_t n, int32_t *sum)
{
    const uint32_t whole = row.cols % row.block_cols && row.blocks ? row.blocks - 1 : row.blocks;
    const int8_t *last = x;
    switch (row.block_cols) {
    case 1:
        row.block_cols = 1;
        last = mp_block_span(&row, whole, 1, x, n, sum);
        break;
    case 2:
        row.block_cols = 2;
        last = mp_block_span(&row, whole, 2, x, n, sum);
        break;
    case 4:
        row.block_cols = 4;
        last = mp_block_span(&row, whole, 4, x, n, sum);
        break;
    default:
        last = mp_block_span(&row, whole, row.block_cols, x, n, sum);
        break;
    }
    if (whole == row.blocks) return;
    row.gap += whole;
    row.values += whole * row.bytes;
    const uint32_t inside = row.cols - (uint32_t)(last - x) - *row.gap * row.block_cols;
    mp_block_span(&row, 1, inside < row.block_cols ? inside : row.block_cols, last, n, sum);
}

#endif
