/* Fully-connected layer over block-coded sparse rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[b][o] = bias[o] + sum over the blocks k of o's group, sum_c in[b][C * b_k + c] * block_k[o % R][c],
 *               b_k = gap_0 + ... + gap_k, R = block_rows, C = block_cols
 *   out[b][o] = clamp(requant(acc[b][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * requant rounds once where shape.single_rounding is set, else twice. in: (batches, cols); out: (batches, rows), apart
 * from in; workspace: none. bias[o] already holds -in_zp * sum(row o). */
#include "rescale_s8.h"
#include "rows_block.h"

/* All rows over one batch. */
static void multiply(const mp_fully_connected_s8_block *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const mp_block *w = &op->weights;
    const uint32_t rows = op->shape.rows, bytes = (uint32_t)w->block_rows * w->block_cols;
    mp_block_row row = {w->gap, w->values, 0, w->block_cols, bytes, op->shape.cols};
    for (uint32_t first = 0, g = 0; first < rows; first += w->block_rows, g++) {
        const int8_t *values = row.values;
        row.blocks = w->row_blocks[g];
        for (uint32_t o = first; o < rows && o < first + w->block_rows; o++, row.values += w->block_cols) {
            int32_t sum = r->bias[o];
            mp_block_walk(row, in, 1, &sum);
            out[o] = mp_rescale_fc_s8(r, op->shape.single_rounding, o, sum);
        }
        row.gap += row.blocks;
        row.values = values + row.blocks * bytes;
    }
}

void mp_fully_connected_s8_block_ref(const mp_fully_connected_s8_block *op, const int8_t *in, int8_t *out)
{
    for (uint32_t b = 0; b < op->shape.batches; b++, in += op->shape.cols, out += op->shape.rows)
        multiply(op, in, out);
}
