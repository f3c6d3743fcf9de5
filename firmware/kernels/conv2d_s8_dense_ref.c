/* 2-D convolution over dense rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][o] = bias[o] + sum_k column[p][k] * weights[o][k],   k over (kernel_h, kernel_w, in_ch)
 *   out[p][o] = clamp(requant(acc[p][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in; weights: (out_ch, cols), cols =
 * kernel_h * kernel_w * in_ch; workspace: mp_conv2d_s8_ref_workspace() in im2col_s8.c, none for 1x1 of stride 1.
 * bias[o] already holds -in_zp * sum(row o).
 *
 * Two rows by two positions at a time: four loads feed four products. */
#include "im2col_s8.h"
#include "rescale_s8.h"

/* sum[2 * i + j] += row i * column j. The rows and columns have `cols` elements each. */
static void dot_2x2(const int8_t *r0, const int8_t *r1, const int8_t *c0, const int8_t *c1, uint32_t cols, int32_t *sum)
{
    int32_t s00 = sum[0], s01 = sum[1], s10 = sum[2], s11 = sum[3];
    for (uint32_t n = cols / 4; n > 0; n--) {
        for (int i = 0; i < 4; i++) {
            const int32_t w0 = *r0++, w1 = *r1++, x0 = *c0++, x1 = *c1++;
            s00 += w0 * x0;
            s01 += w0 * x1;
            s10 += w1 * x0;
            s11 += w1 * x1;
        }
    }
    for (uint32_t n = cols % 4; n > 0; n--) {
        const int32_t w0 = *r0++, w1 = *r1++, x0 = *c0++, x1 = *c1++;
        s00 += w0 * x0;
        s01 += w0 * x1;
        s10 += w1 * x0;
        s11 += w1 * x1;
    }
    sum[0] = s00, sum[1] = s01, sum[2] = s10, sum[3] = s11;
}

void mp_conv2d_s8_dense_ref(const mp_conv2d_s8_dense *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const int32_t *bias = op->rescale.bias;
    const uint32_t rows = shape->out_ch, cols = mp_conv_cols(shape);
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w;
    const int pointwise = mp_conv_is_pointwise(shape);
    int8_t *columns = workspace;

    /* An odd last row or position is computed twice, to the same bytes. */
    for (uint32_t p = 0; p < positions; p += 2) {
        const uint32_t q = p + 1 < positions ? p + 1 : p;
        const int8_t *c0 = columns, *c1 = columns + cols;
        if (pointwise) {
            c0 = in + p * cols;
            c1 = in + q * cols;
        } else {
            mp_im2col_s8(shape, in, p, columns);
            mp_im2col_s8(shape, in, q, columns + cols);
        }
        for (uint32_t o = 0; o < rows; o += 2) {
            const uint32_t o1 = o + 1 < rows ? o + 1 : o;
            int32_t sum[4] = {bias[o], bias[o], bias[o1], bias[o1]};
            dot_2x2(op->weights.weights + o * cols, op->weights.weights + o1 * cols, c0, c1, cols, sum);
            out[p * rows + o] = mp_rescale_s8(&op->rescale, o, sum[0]);
            out[q * rows + o] = mp_rescale_s8(&op->rescale, o, sum[1]);
            out[p * rows + o1] = mp_rescale_s8(&op->rescale, o1, sum[2]);
            out[q * rows + o1] = mp_rescale_s8(&op->rescale, o1, sum[3]);
        }
    }
}
