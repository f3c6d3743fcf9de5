/* 2-D convolution over block-coded sparse rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][o] = bias[o] + sum over the blocks k of o's group, sum_c column[p][C * b_k + c] * block_k[o % R][c],
 *               b_k = gap_0 + ... + gap_k, R = block_rows, C = block_cols
 *   out[p][o] = clamp(requant(acc[p][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in; weights: out_ch rows of cols =
 * kernel_h * kernel_w * in_ch; workspace: mp_conv2d_s8_ref_workspace() in im2col_s8.c, none for 1x1 of stride 1.
 * bias[o] already holds -in_zp * sum(row o).
 *
 * Four positions share the decoding of a block where the columns lie in the input, two where they are gathered; the
 * rows of a group go one after the other over the same gaps. */
#include "im2col_s8.h"
#include "rescale_s8.h"
#include "rows_block.h"

/* All rows over n columns. */
static inline void convolve(const mp_conv2d_s8_block *op, const int8_t *columns, uint32_t n, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const mp_block *w = &op->weights;
    const uint32_t rows = op->shape.out_ch, bytes = (uint32_t)w->block_rows * w->block_cols;
    mp_block_row row = {w->gap, w->values, 0, w->block_cols, bytes, mp_conv_cols(&op->shape)};
    for (uint32_t first = 0, g = 0; first < rows; first += w->block_rows, g++) {
        const int8_t *values = row.values;
        row.blocks = w->row_blocks[g];
        for (uint32_t o = first; o < rows && o < first + w->block_rows; o++, row.values += w->block_cols) {
            int32_t sum[4] = {r->bias[o], r->bias[o], r->bias[o], r->bias[o]};
            mp_block_walk(row, columns, n, sum);
            for (uint32_t j = 0; j < n; j++)
                out[j * rows + o] = mp_rescale_s8(r, o, sum[j]);
        }
        row.gap += row.blocks;
        row.values = values + row.blocks * bytes;
    }
}

void mp_conv2d_s8_block_ref(const mp_conv2d_s8_block *op, const int8_t *in, int8_t *out, void *workspace)
{
    const uint32_t positions = (uint32_t)op->shape.out_h * op->shape.out_w;
    for (uint32_t p = 0, n = 0; p < positions; p += n, out += n * op->shape.out_ch) {
        const int8_t *columns;
        n = mp_next_columns_s8(&op->shape, in, p, workspace, &columns);
        if (n == 4) {
            convolve(op, columns, 4, out);
        } else if (n == 2) {
            convolve(op, columns, 2, out);
        } else {
            convolve(op, columns, 1, out);
        }
    }
}
