/* Depthwise 2-D convolution, int16 by int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][c] = bias[c] + sum_t x[p][t][c / m] * weights[t][c],   t over (kernel_h, kernel_w), m = out_ch / in_ch
 *   out[p][c] = clamp(requant(acc[p][c], mult[c], shift[c]), act_min, act_max)
 *
 * x[p][t] is the input under tap t of position p, 0 outside. in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w,
 * out_ch), apart from in; weights: (kernel_h, kernel_w, out_ch); workspace: none. */
#include "sums_s16s8.h"

/* Products of output channel c with the input channel at `in`, in the window at (y0, x0). */
static int64_t window(const mp_depthwise_conv2d_s16s8_dense *op, const int16_t *in, int32_t y0, int32_t x0, uint32_t c)
{
    const mp_conv_shape *shape = &op->shape;
    const int8_t *weight = op->weights.weights + c;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < shape->kernel_h; ky++) {
        const int32_t y = y0 + ky * shape->dilation_h;
        for (int32_t kx = 0; kx < shape->kernel_w; kx++, weight += shape->out_ch) {
            const int32_t x = x0 + kx * shape->dilation_w;
            if (y < 0 || y >= shape->in_h || x < 0 || x >= shape->in_w) continue;
            sum += in[(uint32_t)(y * shape->in_w + x) * shape->in_ch] * *weight;
        }
    }
    return sum;
}

void mp_depthwise_conv2d_s16s8_dense_ref(const mp_depthwise_conv2d_s16s8_dense *op, const int16_t *in, int16_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t per_in = (uint32_t)shape->out_ch / shape->in_ch;

    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        const int32_t y = oy * shape->stride_h - shape->pad_top;
        for (int32_t ox = 0; ox < shape->out_w; ox++) {
            const int32_t x = ox * shape->stride_w - shape->pad_left;
            for (uint32_t c = 0; c < shape->out_ch; c++)
                *out++ = mp_rescaled_s16(&op->rescale, c, window(op, in + c / per_in, y, x, c));
        }
    }
}
