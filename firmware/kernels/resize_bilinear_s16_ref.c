/* Bilinear interpolation, int16.
 *
 *   place = i * step + start, in 1/1024 of a pixel;   lower = max(place / 1024, 0)   (toward zero)
 *   upper = min((place + 1023) / 1024, size - 1);     weight = place - 1024 * lower
 *   sum = the four neighbours by (1024 - weight) or weight of each dimension
 *   out = (sum + (sum > 0 ? 2^19 : -2^19)) / 2^20     (toward zero)
 *
 * in: (in_h, in_w, ch); out: (out_h, out_w, ch), apart from in; workspace: none. Weights lie in [-512, 1023]. */
#include "resize_neighbours.h"

void mp_resize_bilinear_s16_ref(const mp_resize_bilinear_s8 *op, const int16_t *in, int16_t *out)
{
    const int32_t row = op->in_w * op->ch;
    for (uint32_t i = 0; i < op->out_h; i++) {
        const mp_neighbours y = mp_neighbours_of(i, op->step_h, op->start_h, op->in_h);
        for (uint32_t j = 0; j < op->out_w; j++) {
            const mp_neighbours x = mp_neighbours_of(j, op->step_w, op->start_w, op->in_w);
            const int16_t *const above = in + y.lower * row, *const below = in + y.upper * row;
            const int32_t left = x.lower * op->ch, right = x.upper * op->ch;
            for (int32_t c = 0; c < op->ch; c++) {
                const int32_t high = above[left + c] * (1024 - x.weight) + above[right + c] * x.weight;
                const int32_t low = below[left + c] * (1024 - x.weight) + below[right + c] * x.weight;
                const int64_t sum = (int64_t)high * (1024 - y.weight) + (int64_t)low * y.weight;
                *out++ = (int16_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
            }
        }
    }
}
