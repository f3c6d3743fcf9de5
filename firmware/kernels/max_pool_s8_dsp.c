/* Max pooling, int8, for cores with the DSP extension. Equals max_pool_s8_ref.c.
 *
 * Four channels at a time, in_ch >= 4: SSUB8 compares bytes, SEL takes the larger. The last channels overlap the ones
 * before. in, out: as in the reference; workspace: none. */
#include "mp_simd.h"
#include "pool_window.h"

enum { LANES = 4 };

static uint32_t largest(const int8_t *in, const mp_pool_window *window, uint32_t pitch, uint32_t ch, uint32_t max)
{
    for (uint32_t y = window->height; y > 0; y--, in += pitch) {
        const int8_t *pixel = in;
        for (uint32_t x = window->width; x > 0; x--, pixel += ch)
            max = mp_max_s8x4(max, mp_load_word(pixel));
    }
    return max;
}

/* The smaller of each pair of int8 lanes: complements reverse the order. */
static uint32_t least(uint32_t a, uint32_t b) { return ~mp_max_s8x4(~a, ~b); }

void mp_max_pool_s8_dsp(const mp_max_pool_s8 *op, const int8_t *in, int8_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->in_ch, pitch = (uint32_t)shape->in_w * ch;
    const uint32_t low = (uint8_t)op->act_min * 0x01010101u, high = (uint8_t)op->act_max * 0x01010101u;
    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        for (int32_t ox = 0; ox < shape->out_w; ox++, out += ch) {
            const mp_pool_window window = mp_pool_window_at(shape, oy, ox);
            for (uint32_t group = 0; group < ch; group += LANES) {
                const uint32_t c = group + LANES <= ch ? group : ch - LANES;
                mp_store_word(out + c, least(high, largest(in + window.first + c, &window, pitch, ch, low)));
            }
        }
    }
}
