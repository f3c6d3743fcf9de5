/* 2-D convolution over Rice-coded sparse rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][o] = bias[o] + sum_k column[p][i_k] * nz_k,   i_k = gap_0 + ... + gap_k + k along row o
 *   out[p][o] = clamp(requant(acc[p][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in; weights: out_ch rows of cols =
 * kernel_h * kernel_w * in_ch; workspace: mp_conv2d_s8_ref_workspace() in im2col_s8.c, none for 1x1 of stride 1.
 * bias[o] already holds -in_zp * sum(row o).
 *
 * Four positions share the decoding of a code where the columns lie in the input, two where they are gathered. */
#include "im2col_s8.h"
#include "rescale_s8.h"
#include "rows_rice.h"

/* All rows over n columns. */
static inline void convolve(const mp_conv2d_s8_rice *op, const int8_t *columns, uint32_t n, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.out_ch, cols = mp_conv_cols(&op->shape);
    mp_rice_reader reader = mp_rice_start(&op->weights);
    for (uint32_t o = 0; o < rows; o++) {
        int32_t sum[4] = {r->bias[o], r->bias[o], r->bias[o], r->bias[o]};
        mp_rice_row(&reader, op->weights.row_nnz[o], columns, cols, n, sum);
        for (uint32_t j = 0; j < n; j++)
            out[j * rows + o] = mp_rescale_s8(r, o, sum[j]);
    }
}

void mp_conv2d_s8_rice_ref(const mp_conv2d_s8_rice *op, const int8_t *in, int8_t *out, void *workspace)
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
