/* Windows of a convolution, where they lie in memory or gathered: tile_s8_dsp.h. */
#include "tile_s8_dsp.h"

/* Taps 0 .. count - 1 at start + tap * step: how many lie below 0, and how many in 0 .. size - 1. */
typedef struct {
    uint32_t before, inside;
} taps;

static taps split(int32_t start, int32_t step, int32_t size, uint32_t count)
{
    taps found = {0, 0};
    if (start >= 0 && start + ((int32_t)count - 1) * step < size) {
        found.inside = count;
        return found;
    }
    for (; count > 0; count--, start += step) {
        if (start < 0) {
            found.before++;
        } else if (start < size) {
            found.inside++;
        }
    }
    return found;
}

/* `count` pieces of n bytes. */
static void gather(int8_t *to, uint32_t to_stride, const int8_t *from, uint32_t from_stride, uint32_t n, uint32_t count)
{
    for (; count > 0; count--, to += to_stride, from += from_stride) {
        uint32_t at = 0;
        for (; at + 4 <= n; at += 4)
            memcpy(to + at, from + at, 4);
        if (n & 2) memcpy(to + at, from + at, 2);
        if (n & 1) to[n - 1] = from[n - 1];
    }
}

/* The column of output position y * out_w + x of a convolution that is not pointwise: in the input where that has it in
 * whole words, else gathered into column. */
static void find(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *column, mp_window *window)
{
    const uint32_t ch = shape->in_ch, kernel_h = shape->kernel_h, kernel_w = shape->kernel_w;
    const uint32_t cols = mp_conv_cols(shape);
    const uint32_t out_y = position / shape->out_w, out_x = position - out_y * shape->out_w;
    const int32_t y0 = (int32_t)(out_y * shape->stride_h) - shape->pad_top, step = shape->dilation_w;
    const int32_t x0 = (int32_t)(out_x * shape->stride_w) - shape->pad_left;
    const taps y = split(y0, shape->dilation_h, shape->in_h, kernel_h);
    const taps x = split(x0, step, shape->in_w, kernel_w);
    const uint32_t bytes = kernel_w * ch, stride = (uint32_t)shape->dilation_h * shape->in_w * ch;
    const int32_t y1 = y0 + (int32_t)y.before * shape->dilation_h, x1 = x0 + (int32_t)x.before * step;
    const int8_t *from = in + (y1 * shape->in_w + x1) * (int32_t)ch;

    if (bytes % 4 == 0 && step == 1 && x.inside == kernel_w && y.inside > 0) {
        const uint32_t below = kernel_h - y.before - y.inside;
        *window = (mp_window){from, bytes, y.inside, stride, y.before, below, shape->pad_value, NULL};
        return;
    }
    *window = (mp_window){column, cols, 1, 0, 0, 0, 0, NULL};
    if (x.inside < kernel_w || y.inside < kernel_h) {
        const uint32_t pad = (uint8_t)shape->pad_value * 0x01010101U;
        for (uint32_t i = 0; i < cols; i += 4) /* whole words: column has room for them */
            memcpy(column + i, &pad, 4);
    }
    column += y.before * bytes + x.before * ch;
    if (step == 1) {
        gather(column, bytes, from, stride, x.inside * ch, y.inside);
    } else {
        for (uint32_t ky = 0; ky < y.inside; ky++, column += bytes, from += stride)
            gather(column, ch, from, (uint32_t)step * ch, ch, x.inside);
    }
}

void mp_tile_fill(const mp_conv_shape *shape, const uint16_t *runs, const int8_t *in, uint32_t position,
                  uint32_t count, int8_t *column, mp_pack *pack, uint32_t *tile)
{
    mp_window window;
    if (!mp_conv_is_pointwise(shape)) {
        for (; count > 0; count--) {
            find(shape, in, position++, column, &window);
            pack(&window, tile++);
        }
        return;
    }
    const uint32_t cols = shape->in_ch;
    for (window = (mp_window){in + position * cols, cols, 1, 0, 0, 0, 0, runs}; count > 0; count--, window.x += cols)
        pack(&window, tile++);
}

void mp_clamp_bytes(int8_t *out, size_t n, int8_t act_min, int8_t act_max)
{
    if (act_min == INT8_MIN && act_max == INT8_MAX) return;
    for (; n > 0; n--, out++)
        *out = *out < act_min ? act_min : *out > act_max ? act_max : *out;
}
