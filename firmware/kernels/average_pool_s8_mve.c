/* Average pooling, int8, for MVE, of windows of at most 255 taps. Equals mp_average_pool_s8_ref bit for bit.
 *
 * Eight channels at a time in lanes of 16 bits: 255 * 128 fits. Workspace: none. */
#include "mcuprune_nn.h"
#include "mp_mve.h"
#include "mp_numerics.h"

enum { LANES = 8 };

/* Sums of n <= 8 channels of a height x width window; its rows lie row_stride apart, its pixels ch. */
static inline __attribute__((always_inline)) mp_s16x8 sum_of(const int8_t *in, int32_t height, int32_t width,
                                                             uint32_t row_stride, uint32_t ch, uint32_t n)
{
    mp_s16x8 sum = mp_fill_s16x8(0);
    for (int32_t y = 0; y < height; y++, in += row_stride) {
        const int8_t *pixel = in;
        for (int32_t x = 0; x < width; x++, pixel += ch)
            sum = mp_add_s16x8(sum, n == LANES ? mp_load_s8_s16x8(pixel) : mp_load_s8_s16x8_part(pixel, n));
    }
    return sum;
}

/* One output position: all channels of a window. */
static void average(const mp_average_pool_s8 *op, const int8_t *window, int32_t height, int32_t width, int8_t *out)
{
    const uint32_t ch = op->shape.in_ch, row_stride = (uint32_t)op->shape.in_w * ch;
    int16_t sum[LANES];
    for (uint32_t c = 0; c < ch; c += LANES) {
        const uint32_t n = ch - c < LANES ? ch - c : LANES;
        if (n == LANES) {
            mp_store_s16x8(sum, sum_of(window + c, height, width, row_stride, ch, LANES));
        } else {
            mp_store_s16x8(sum, sum_of(window + c, height, width, row_stride, ch, n));
        }
        for (uint32_t i = 0; i < n; i++)
            out[c + i] = (int8_t)mp_clamp(mp_rounding_divide(sum[i], height * width), op->act_min, op->act_max);
    }
}

void mp_average_pool_s8_mve(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out)
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
            average(op, window, y_end - y_begin, x_end - x_begin, out);
        }
    }
}
