/* Depthwise 2-D convolution, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[p][c] = bias[c] + sum_t x[p][t][c / m] * weights[t][c],   t over (kernel_h, kernel_w), m = out_ch / in_ch
 *   out[p][c] = clamp(requant(acc[p][c], mult[c], shift[c]) + out_zp, act_min, act_max)
 *
 * x[p][t] is the input under tap t of position p, pad_value outside. in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h,
 * out_w, out_ch), apart from in; weights: (kernel_h, kernel_w, out_ch); workspace: 8 * kernel_h * kernel_w bytes.
 * bias[c] already holds -in_zp * sum(channel c).
 *
 * The workspace lists the taps of a position: those inside the input from the front, the others from the back. */
#include "rescale_s8.h"

typedef struct {
    uint32_t in;      /* offset of the tap's first input channel */
    uint32_t weights; /* offset of the tap's first weight */
} tap;

_Static_assert(sizeof(tap) == 8, "mp_depthwise_conv2d_s8_ref_workspace promises 8 bytes a tap");

size_t mp_depthwise_conv2d_s8_ref_workspace(const mp_conv_shape *shape)
{
    return sizeof(tap) * shape->kernel_h * shape->kernel_w;
}

/* Lists all taps of the position at (oy, ox); returns how many lie inside. */
static uint32_t list_taps(const mp_conv_shape *shape, int32_t oy, int32_t ox, tap *taps)
{
    const int32_t y0 = oy * shape->stride_h - shape->pad_top, x0 = ox * shape->stride_w - shape->pad_left;
    uint32_t inside = 0, outside = (uint32_t)shape->kernel_h * shape->kernel_w, weights = 0;
    for (int32_t ky = 0; ky < shape->kernel_h; ky++) {
        const int32_t y = y0 + ky * shape->dilation_h;
        for (int32_t kx = 0; kx < shape->kernel_w; kx++, weights += shape->out_ch) {
            const int32_t x = x0 + kx * shape->dilation_w;
            if (y >= 0 && y < shape->in_h && x >= 0 && x < shape->in_w) {
                taps[inside++] = (tap){(uint32_t)(y * shape->in_w + x) * shape->in_ch, weights};
            } else {
                taps[--outside] = (tap){0, weights};
            }
        }
    }
    return inside;
}

/* Output channel c, which sees input channel in_c. */
static int8_t one_channel(const mp_depthwise_conv2d_s8_dense *op, const int8_t *in, const tap *taps, uint32_t inside,
                          uint32_t all, uint32_t in_c, uint32_t c)
{
    int32_t acc = op->rescale.bias[c];
    uint32_t t = 0;
    for (; t < inside; t++)
        acc += in[taps[t].in + in_c] * op->weights.weights[taps[t].weights + c];
    for (; t < all; t++)
        acc += op->shape.pad_value * op->weights.weights[taps[t].weights + c];
    return mp_rescale_s8(&op->rescale, c, acc);
}

/* Output channels c .. c + 3 at depth multiplier 1. */
static void four_channels(const mp_depthwise_conv2d_s8_dense *op, const int8_t *in, const tap *taps, uint32_t inside,
                          uint32_t all, uint32_t c, int8_t *out)
{
    const int32_t *bias = op->rescale.bias + c;
    int32_t s0 = bias[0], s1 = bias[1], s2 = bias[2], s3 = bias[3];
    uint32_t t = 0;
    for (; t < inside; t++) {
        const int8_t *x = in + taps[t].in + c, *w = op->weights.weights + taps[t].weights + c;
        s0 += x[0] * w[0];
        s1 += x[1] * w[1];
        s2 += x[2] * w[2];
        s3 += x[3] * w[3];
    }
    for (; t < all; t++) {
        const int8_t *w = op->weights.weights + taps[t].weights + c;
        const int32_t x = op->shape.pad_value;
        s0 += x * w[0];
        s1 += x * w[1];
        s2 += x * w[2];
        s3 += x * w[3];
    }
    out[0] = mp_rescale_s8(&op->rescale, c, s0);
    out[1] = mp_rescale_s8(&op->rescale, c + 1, s1);
    out[2] = mp_rescale_s8(&op->rescale, c + 2, s2);
    out[3] = mp_rescale_s8(&op->rescale, c + 3, s3);
}

void mp_depthwise_conv2d_s8_dense_ref(const mp_depthwise_conv2d_s8_dense *op, const int8_t *in, int8_t *out,
                                      void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t out_ch = shape->out_ch, all = (uint32_t)shape->kernel_h * shape->kernel_w;
    const uint32_t per_in = out_ch / shape->in_ch;
    tap *taps = workspace;

    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        for (int32_t ox = 0; ox < shape->out_w; ox++, out += out_ch) {
            const uint32_t inside = list_taps(shape, oy, ox, taps);
            uint32_t c = 0;
            if (per_in == 1) {
                for (; c + 4 <= out_ch; c += 4)
                    four_channels(op, in, taps, inside, all, c, out + c);
            }
            for (uint32_t in_c = c; c < out_ch; in_c++) { /* here c is in_c * per_in */
                for (uint32_t m = 0; m < per_in; m++, c++)
                    out[c] = one_channel(op, in, taps, inside, all, in_c, c);
            }
        }
    }
}
