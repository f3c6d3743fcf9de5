/* Average pooling, int8, for cores with the DSP extension. Equals average_pool_s8_ref.c.
 *
 * Eight channels at a time, as sums of int16: windows of at most 255 taps, in_ch >= 4. The last channels overlap the
 * ones before. in, out: as in the reference; workspace: none. */
#include "mp_numerics.h"
#include "mp_simd.h"
#include "pool_window.h"

enum { LANES = 4 };

/* Sums of `words` times four channels: those of even bytes, then those of odd ones. */
static inline void add_up(const int8_t *in, const mp_pool_window *window, uint32_t pitch, uint32_t ch, uint32_t words,
                          uint32_t *sum)
{
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t y = window->height; y > 0; y--, in += pitch) {
        const int8_t *pixel = in;
#pragma GCC unroll 2
        for (uint32_t x = window->width; x > 0; x--, pixel += ch) {
            const uint32_t low = mp_load_word(pixel), high = words > 1 ? mp_load_word(pixel + LANES) : 0;
            s0 = mp_sxtab16(s0, low);
            s1 = mp_sxtab16_odd(s1, low);
            if (words > 1) {
                s2 = mp_sxtab16(s2, high);
                s3 = mp_sxtab16_odd(s3, high);
            }
        }
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

static int8_t mean(const mp_average_pool_s8 *op, int32_t sum, int32_t count)
{
    return (int8_t)mp_clamp(mp_rounding_divide(sum, count), op->act_min, op->act_max);
}

static void store(const mp_average_pool_s8 *op, const uint32_t *sum, int32_t count, uint32_t words, int8_t *out)
{
    for (uint32_t i = 0; i < words; i++, sum += 2, out += LANES) {
        out[0] = mean(op, mp_low16(sum[0]), count);
        out[1] = mean(op, mp_low16(sum[1]), count);
        out[2] = mean(op, mp_high16(sum[0]), count);
        out[3] = mean(op, mp_high16(sum[1]), count);
    }
}

void mp_average_pool_s8_dsp(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->in_ch, pitch = (uint32_t)shape->in_w * ch;
    for (int32_t oy = 0; oy < shape->out_h; oy++) {
        for (int32_t ox = 0; ox < shape->out_w; ox++, out += ch) {
            const mp_pool_window window = mp_pool_window_at(shape, oy, ox);
            const int32_t count = (int32_t)(window.height * window.width);
            uint32_t c = 0, sum[4];
            for (; c + 2 * LANES <= ch; c += 2 * LANES) {
                add_up(in + window.first + c, &window, pitch, ch, 2, sum);
                store(op, sum, count, 2, out + c);
            }
            while (c < ch) {
                c = c + LANES <= ch ? c : ch - LANES;
                add_up(in + window.first + c, &window, pitch, ch, 1, sum);
                store(op, sum, count, 1, out + c);
                c += LANES;
            }
        }
    }
}
