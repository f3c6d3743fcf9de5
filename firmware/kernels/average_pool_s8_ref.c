/* Average pooling, int8. Reference: the other variants equal it bit for bit.
 *
 *   out[p][c] = clamp(sum / count, act_min, act_max), halves away from zero
 *
 * over the `count` taps of the window that lie inside the input: there is at least one. Scales of in and out are equal.
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, in_ch), apart from in; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

enum { LANES = 4 };

/* Averages lanes <= LANES channels of a height x width window; its rows lie row_stride apart, its pixels ch. */
static void average(const int8_t *in, int32_t height, int32_t width, uint32_t row_stride, uint32_t ch, uint32_t lanes,
                    int32_t *mean)
{
    int32_t sum[LANES] = {0};
    for (int32_t y = 0; y < height; y++, in += row_stride) {
        const int8_t *pixel = in;
        for (int32_t x = 0; x < width; x++, pixel += ch) {
            for (uint32_t i = 0; i < lanes; i++)
                sum[i] += pixel[i];
        }
    }
    for (uint32_t i = 0; i < lanes; i++)
        mean[i] = mp_rounding_divide(sum[i], height * width);
}

void mp_average_pool_s8_ref(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->in_ch, row_stride = (uint32_t)shape->in_w * ch;

    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        const int32_t y = oy * shape->stride_h - shape->pad_top;
        const int32_t y_begin = y < 0 ? 0 : y;
        const int32_t y_end = y + shape->kernel_h > shape->in_h ? shape->in_h : y + shape->kernel_h;
        for (int32_t ox = 0; ox < shape->out_w; ox++, out += ch) {
            const int32_t x = ox * shape->stride_w - shape->pad_left;
            const int32_t x_begin = x < 0 ? 0 : x;
            const int32_t x_end = x + shape->kernel_w > shape->in_w ? shape->in_w : x + shape->kernel_w;
            const int8_t *window = in + (uint32_t)y_begin * row_stride + (uint32_t)x_begin * ch;
            for (uint32_t c = 0; c < ch; c += LANES) {
                int32_t mean[LANES];
                const uint32_t lanes = ch - c < LANES ? ch - c : LANES;
                if (lanes == LANES) {
                    average(window + c, y_end - y_begin, x_end - x_begin, row_stride, ch, LANES, mean);
                } else {
                    average(window + c, y_end - y_begin, x_end - x_begin, row_stride, ch, lanes, mean);
                }
                for (uint32_t i = 0; i < lanes; i++)
                    out[c + i] = (int8_t)mp_clamp(mean[i], op->act_min, op->act_max);
            }
        }
    }
}
