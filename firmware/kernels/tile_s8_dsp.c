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

/* The whole window whose first tap lies at (y0, x0), as a column. */
static void gather_window(const mp_conv_shape *shape, const int8_t *in, int32_t y0, int32_t x0, int8_t *column)
{
    const uint32_t ch = shape->in_ch, cols = mp_conv_cols(shape), bytes = shape->kernel_w * ch;
    const int32_t step = shape->dilation_w;
    const taps y = split(y0, shape->dilation_h, shape->in_h, shape->kernel_h);
    const taps x = split(x0, step, shape->in_w, shape->kernel_w);
    const int32_t y1 = y0 + (int32_t)y.before * shape->dilation_h, x1 = x0 + (int32_t)x.before * step;
    const uint32_t stride = (uint32_t)shape->dilation_h * shape->in_w * ch;
    const int8_t *from = in + (y1 * shape->in_w + x1) * (int32_t)ch;

    if (x.inside < shape->kernel_w || y.inside < shape->kernel_h) {
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

/* Stretches of padding. */
static uint32_t *pad(const mp_tiler *tiler, uint32_t rows, uint32_t bytes, uint32_t *tile)
{
    const int8_t value = tiler->shape->pad_value;
    for (uint32_t words = rows * mp_tile_words(tiler->order, bytes); words > 0; words--, tile += tiler->pitch)
        *tile = mp_lanes16(2 * value, 2 * value);
    return tile;
}

void mp_tile_start(mp_tiler *t)
{
    const mp_conv_shape *shape = t->shape;
    const uint32_t ch = shape->in_ch;
    const int direct = mp_rows_apart(t->order, shape) && shape->dilation_w == 1;
    t->pointwise = mp_conv_is_pointwise(shape);
    t->bytes = shape->kernel_w * ch;
    t->stride = shape->dilation_h * shape->in_w * ch;
    t->last = direct && shape->in_w >= shape->kernel_w ? shape->in_w - shape->kernel_w : -1;
    t->out_y = t->out_x = 0;
}

/* Begins the next row of outputs. */
static void next_row(mp_tiler *t)
{
    const mp_conv_shape *shape = t->shape;
    t->y0 = (int32_t)(t->out_y++ * shape->stride_h) - shape->pad_top;
    t->x0 = -shape->pad_left;
    const taps y = split(t->y0, shape->dilation_h, shape->in_h, shape->kernel_h);
    t->before = y.before, t->inside = y.inside, t->below = shape->kernel_h - y.before - y.inside;
    t->from = t->in + (t->y0 + (int32_t)y.before * shape->dilation_h) * shape->in_w * shape->in_ch;
}

static void next_window(mp_tiler *t, uint32_t *tile)
{
    const mp_conv_shape *shape = t->shape;
    const int32_t x0 = t->x0;
    if (x0 >= 0 && x0 <= t->last && t->inside > 0) {
        if (t->before) tile = pad(t, t->before, t->bytes, tile);
        tile = t->pack(t->from + (uint32_t)x0 * shape->in_ch, t->bytes, t->inside, t->stride, NULL, tile);
        if (t->below) pad(t, t->below, t->bytes, tile);
        return;
    }
    gather_window(shape, t->in, t->y0, x0, t->column);
    if (t->bytes % 4 && mp_rows_apart(t->order, shape)) {
        t->pack(t->column, t->bytes, shape->kernel_h, t->bytes, NULL, tile);
    } else { /* fours lie the same in one stretch */
        t->pack(t->column, mp_conv_cols(shape), 1, 0, NULL, tile);
    }
}

void mp_tile_next(mp_tiler *t, uint32_t count, uint32_t *tile)
{
    if (t->pointwise) {
        for (; count > 0; count--, t->in += t->bytes)
            t->pack(t->in, t->bytes, t->run_count, 0, t->runs, tile++);
        return;
    }
    for (; count > 0; count--, t->x0 += t->shape->stride_w) {
        if (t->out_x == 0) next_row(t);
        next_window(t, tile++);
        if (++t->out_x == t->shape->out_w) t->out_x = 0;
    }
}
