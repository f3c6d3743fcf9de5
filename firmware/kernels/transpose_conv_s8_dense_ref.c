/* Transposed 2-D convolution over dense rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[y][x][o] = bias[o] + sum (in[iy][ix][c] - in_zp) * weights[o][ky][kx][c]
 *                  over iy * stride_h + ky == y + pad_top, ix * stride_w + kx == x + pad_left, and c
 *   out[y][x][o] = clamp(requant(acc[y][x][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * in_zp is shape.pad_value. in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in; weights:
 * (out_ch, kernel_h, kernel_w, in_ch); workspace: none. */
#include "rescale_s8.h"
#include "source_position.h"

/* sum + what all input positions add to the place (y, x), one row's weights. */
static int32_t gather(const mp_conv_shape *shape, const int8_t *in, int32_t y, int32_t x, const int8_t *row, int32_t sum)
{
    const int32_t zp = shape->pad_value;
    for (int32_t ky = 0; ky < shape->kernel_h; ky++) {
        const int32_t iy = mp_source_position(y, ky, shape->stride_h, shape->in_h);
        for (int32_t kx = 0; kx < shape->kernel_w; kx++, row += shape->in_ch) {
            const int32_t ix = mp_source_position(x, kx, shape->stride_w, shape->in_w);
            if (iy < 0 || ix < 0) continue;
            const int8_t *pixel = in + (uint32_t)(iy * shape->in_w + ix) * shape->in_ch;
            for (uint32_t c = 0; c < shape->in_ch; c++)
                sum += (pixel[c] - zp) * row[c];
        }
    }
    return sum;
}

void mp_transpose_conv_s8_dense_ref(const mp_transpose_conv_s8_dense *op, const int8_t *in, int8_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t cols = (uint32_t)shape->kernel_h * shape->kernel_w * shape->in_ch;
    for (int32_t y = shape->pad_top; y < shape->pad_top + shape->out_h; y++) {
        for (int32_t x = shape->pad_left; x < shape->pad_left + shape->out_w; x++) {
            for (uint32_t o = 0; o < shape->out_ch; o++) {
                const int32_t acc = gather(shape, in, y, x, op->weights.weights + o * cols, op->rescale.bias[o]);
                *out++ = mp_rescale_s8(&op->rescale, o, acc);
            }
        }
    }
}
