/* im2col of one output position, and the workspace that all reference convolutions share.
 *
 *   column[(ky * kernel_w + kx) * in_ch + c] = in[oy * stride_h - pad_top  + ky * dilation_h]
 *                                                [ox * stride_w - pad_left + kx * dilation_w][c], or pad_value outside
 *
 * mp_conv2d_s8_ref_workspace: 0 for 1x1, stride 1, no padding (out_h == in_h, out_w == in_w, pads 0); otherwise two
 * columns, rounded up to words: (2 * kernel_h * kernel_w * in_ch + 3) / 4 * 4 bytes. */
#include "im2col_s8.h"

#include <string.h>

size_t mp_conv2d_s8_ref_workspace(const mp_conv_shape *shape)
{
    if (mp_conv_is_pointwise(shape)) return 0;
    return ((size_t)2 * mp_conv_cols(shape) + 3) / 4 * 4;
}

void mp_im2col_s8(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *column)
{
    const int32_t y0 = (int32_t)(position / shape->out_w) * shape->stride_h - shape->pad_top;
    const int32_t x0 = (int32_t)(position % shape->out_w) * shape->stride_w - shape->pad_left;
    const int32_t in_h = shape->in_h, in_w = shape->in_w, kernel_w = shape->kernel_w;
    const size_t ch = shape->in_ch, row_bytes = (size_t)shape->kernel_w * ch;

    for (int32_t ky = 0; ky < shape->kernel_h; ky++, column += row_bytes) {
        const int32_t y = y0 + ky * shape->dilation_h;
        if (y < 0 || y >= in_h) {
            memset(column, shape->pad_value, row_bytes);
            continue;
        }
        const int8_t *row = in + (size_t)(y * in_w) * ch;
        if (shape->dilation_w == 1 && x0 >= 0 && x0 + kernel_w <= in_w) { /* one piece */
            memcpy(column, row + (size_t)x0 * ch, row_bytes);
            continue;
        }
        for (int32_t kx = 0; kx < kernel_w; kx++) {
            const int32_t x = x0 + kx * shape->dilation_w;
            if (x < 0 || x >= in_w) {
                memset(column + (size_t)kx * ch, shape->pad_value, ch);
            } else {
                memcpy(column + (size_t)kx * ch, row + (size_t)x * ch, ch);
            }
        }
    }
}

uint32_t mp_next_columns_s8(const mp_conv_shape *shape, const int8_t *in, uint32_t position, void *workspace,
                            const int8_t **columns)
{
    const uint32_t cols = mp_conv_cols(shape), left = (uint32_t)shape->out_h * shape->out_w - position;
    if (mp_conv_is_pointwise(shape)) {
        *columns = in + position * cols;
        return left >= 4 ? 4 : left >= 2 ? 2 : 1;
    }
    const uint32_t count = left >= 2 ? 2 : 1;
    for (uint32_t i = 0; i < count; i++)
        mp_im2col_s8(shape, in, position + i, (int8_t *)workspace + i * cols);
    *columns = workspace;
    return count;
}
