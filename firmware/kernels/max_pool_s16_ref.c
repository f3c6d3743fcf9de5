/* Max pooling, int16.
 *
 *   out[p][c] = clamp(largest in[t][c], act_min, act_max)
 *
 * over the taps t of the window that lie inside the input: there is at least one. in: NHWC (in_h, in_w, in_ch); out: NHWC
 * (out_h, out_w, in_ch), apart from in; workspace: none. */
#include "mp_numerics.h"
#include "pool_window.h"

static int32_t largest(const int16_t *in, const mp_pool_window *window, uint32_t pitch, uint32_t ch)
{
    int32_t max = INT16_MIN;
    for (uint32_t y = 0; y < window->height; y++, in += pitch) {
        for (uint32_t x = 0; x < window->width; x++)
            max = in[x * ch] > max ? in[x * ch] : max;
    }
    return max;
}

void mp_max_pool_s16_ref(const mp_max_pool_s8 *op, const int16_t *in, int16_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->in_ch, pitch = (uint32_t)shape->in_w * ch;
    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        for (int32_t ox = 0; ox < shape->out_w; ox++) {
            const mp_pool_window window = mp_pool_window_at(shape, oy, ox);
            for (uint32_t c = 0; c < ch; c++)
                *out++ = (int16_t)mp_clamp(largest(in + window.first + c, &window, pitch, ch), op->act_min, op->act_max);
        }
    }
}
