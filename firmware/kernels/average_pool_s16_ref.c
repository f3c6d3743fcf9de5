/* Average pooling, int16, zero point 0.
 *
 *   out[p][c] = clamp(sum / count, act_min, act_max), halves away from zero
 *
 * over the `count` taps of the window that lie inside the input: at least one, at most 65535. in: NHWC (in_h, in_w,
 * in_ch); out: NHWC (out_h, out_w, in_ch), apart from in; workspace: none. */
#include "mp_numerics.h"
#include "pool_window.h"

static int32_t mean(const int16_t *in, const mp_pool_window *window, uint32_t pitch, uint32_t ch)
{
    int32_t sum = 0;
    for (uint32_t y = 0; y < window->height; y++, in += pitch) {
        for (uint32_t x = 0; x < window->width; x++)
            sum += in[x * ch];
    }
    return mp_rounding_divide(sum, (int32_t)(window->height * window->width));
}

void mp_average_pool_s16_ref(const mp_average_pool_s8 *op, const int16_t *in, int16_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->in_ch, pitch = (uint32_t)shape->in_w * ch;
    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        for (int32_t ox = 0; ox < shape->out_w; ox++) {
            const mp_pool_window window = mp_pool_window_at(shape, oy, ox);
            for (uint32_t c = 0; c < ch; c++)
                *out++ = (int16_t)mp_clamp(mean(in + window.first + c, &window, pitch, ch), op->act_min, op->act_max);
        }
    }
}
