/* 2-D convolution, also in groups, over dense rows, int16 by int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][o] = bias[o] + sum x[p][t][g * group_ch + c] * weights[o][t][c],   t over (kernel_h, kernel_w), c < group_ch
 *   out[p][o] = clamp(requant(acc[p][o], mult[o], shift[o]), act_min, act_max)
 *
 * x[p][t] is the input under tap t of position p, 0 outside; g = o / (out_ch / groups), groups = in_ch / group_ch.
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in; workspace: none. */
#include "sums_s16s8.h"

/* Products of one row's weights with the input channels at `in`, in the window at (y0, x0). */
static int64_t window(const mp_conv2d_s16s8_dense *op, const int16_t *in, int32_t y0, int32_t x0, const int8_t *row)
{
    const mp_conv_shape *shape = &op->shape;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < shape->kernel_h; ky++) {
        const int32_t y = y0 + ky * shape->dilation_h;
        for (int32_t kx = 0; kx < shape->kernel_w; kx++, row += op->group_ch) {
            const int32_t x = x0 + kx * shape->dilation_w;
            if (y < 0 || y >= shape->in_h || x < 0 || x >= shape->in_w) continue;
            sum += mp_dot_s16s8(in + (uint32_t)(y * shape->in_w + x) * shape->in_ch, row, op->group_ch);
        }
    }
    return sum;
}

void mp_conv2d_s16s8_dense_ref(const mp_conv2d_s16s8_dense *op, const int16_t *in, int16_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t cols = (uint32_t)shape->kernel_h * shape->kernel_w * op->group_ch;
    const uint32_t per_group = (uint32_t)shape->out_ch * op->group_ch / shape->in_ch;

    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        const int32_t y = oy * shape->stride_h - shape->pad_top;
        for (int32_t ox = 0; ox < shape->out_w; ox++) {
            const int32_t x = ox * shape->stride_w - shape->pad_left;
            for (uint32_t o = 0; o < shape->out_ch; o++) {
                const int16_t *group = in + o / per_group * op->group_ch;
                *out++ = mp_rescaled_s16(&op->rescale, o, window(op, group, y, x, op->weights.weights + o * cols));
            }
        }
    }
}
