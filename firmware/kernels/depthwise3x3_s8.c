/* The part of 3x3 depthwise kernels that is the same on every core: bands, strips, planes, channels.
 *
 * A last block of less than four channels begins earlier, at channels that are then computed twice. The row below an
 * odd band is computed from what the plane holds there and not stored. */
#include "depthwise3x3_s8.h"

#include <string.h>

#include "mp_numerics.h"

enum { LANES = 4 };

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Rows of a plane for `rows` output rows, an even number. */
static uint32_t plane_rows(const mp_conv_shape *shape, uint32_t rows) { return (rows - 1) * shape->stride_h + 3; }

size_t mp_depthwise3x3_workspace(const mp_conv_shape *shape)
{
    const uint32_t rows = smaller(shape->out_h, MP_BAND_ROWS);
    return (size_t)MP_PLANE_PITCH * plane_rows(shape, (rows + 1) / 2 * 2);
}

/* The word of four channels at `in`; words says that words can be read there. */
static inline uint32_t four(const int8_t *in, int words)
{
    uint32_t word;
    if (words) {
        memcpy(&word, __builtin_assume_aligned(in, 4), sizeof word);
        return word;
    }
    const uint32_t b0 = (uint8_t)in[0], b1 = (uint8_t)in[1], b2 = (uint8_t)in[2], b3 = (uint8_t)in[3];
    return b0 | b1 << 8 | b2 << 16 | b3 << 24;
}

/* Fills rows x cols words of the plane with the four channels at `in`, seen from input row y and column x on. */
static void gather(const mp_conv_shape *shape, const int8_t *in, int32_t y, int32_t x, uint32_t rows, uint32_t cols,
                   uint32_t flip, uint32_t *plane)
{
    const uint32_t pad = ((uint8_t)shape->pad_value * 0x01010101u) ^ flip, ch = shape->in_ch;
    const int words = (((uintptr_t)in | ch) & 3) == 0;
    const int32_t in_w = shape->in_w;
    for (uint32_t r = 0; r < rows; r++, y++, plane += MP_PLANE_COLS) {
        const int inside = y >= 0 && y < shape->in_h;
        const int8_t *row = inside ? in + (uint32_t)(y * in_w) * ch : in;
        uint32_t c = 0;
        for (; c < cols && (!inside || x + (int32_t)c < 0); c++)
            plane[c] = pad;
        if (c < cols && x + (int32_t)c < in_w) {
            const uint32_t end = smaller(cols, (uint32_t)(in_w - x));
            const int8_t *pixel = row + (uint32_t)(x + (int32_t)c) * ch;
            if (words) {
                for (; c < end; c++, pixel += ch)
                    plane[c] = four(pixel, 1) ^ flip;
            } else {
                for (; c < end; c++, pixel += ch)
                    plane[c] = four(pixel, 0) ^ flip;
            }
        }
        for (; c < cols; c++)
            plane[c] = pad;
    }
}

static void taps_of(const mp_depthwise_conv2d_s8_rows *op, uint32_t flip, uint32_t c, mp_taps3x3 *taps)
{
    const int8_t *w = op->weights + c;
    int32_t sum = 0;
    for (int t = 0; t < 9; t++, w += op->shape.out_ch) {
        taps->weights[t] = 2 * *w;
        sum += *w;
    }
    taps->bias = 2 * (op->rows[c].bias - (flip ? 128 * sum : 0));
}

/* A band of rows x a strip of cols outputs from (oy, ox) on. */
static void convolve(const mp_depthwise_conv2d_s8_rows *op, const mp_depthwise3x3 *core, const int8_t *in, int8_t *out,
                     uint32_t oy, uint32_t ox, uint32_t rows, uint32_t cols, uint32_t *plane)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->out_ch, step = (uint32_t)LANES * shape->stride_w;
    const int32_t y = (int32_t)(oy * shape->stride_h) - shape->pad_top;
    const int32_t x = (int32_t)(ox * shape->stride_w) - shape->pad_left;
    const mp_tile8_out to = {(uint32_t)shape->out_w * ch, rows, op->out_zp};
    void (*const column)(const uint8_t *, const mp_taps3x3 *, int32_t *, uint32_t) =
        shape->stride_h == 1 ? core->column : core->column_stride2;
    int32_t sums[MP_BAND_ROWS];
    mp_taps3x3 taps;

    out += (oy * shape->out_w + ox) * ch;
    for (uint32_t c = 0; c < ch; c += LANES) {
        if (c + LANES > ch) c = ch - LANES;
        gather(shape, in + c, y, x, plane_rows(shape, rows), (cols - 1) * shape->stride_w + 3, core->flip, plane);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const uint8_t *window = (const uint8_t *)plane + lane;
            int8_t *o = out + c + lane;
            const mp_row *row = &op->rows[c + lane];
            mp_tile8_store *const store = mp_tile8_store_of(core->store, row);
            taps_of(op, core->flip, c + lane, &taps);
            for (uint32_t i = 0; i < cols; i++, window += step, o += ch) {
                column(window, &taps, sums, (rows + 1) / 2);
                store(sums, row, o, &to);
            }
        }
    }
}

void mp_depthwise3x3_conv2d_s8(const mp_depthwise_conv2d_s8_rows *op, const mp_depthwise3x3 *core, const int8_t *in,
                               int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t out_h = shape->out_h, out_w = shape->out_w;
    const uint32_t strip = (MP_PLANE_COLS - 3) / shape->stride_w + 1u;
    for (uint32_t oy = 0; oy < out_h; oy += MP_BAND_ROWS) {
        const uint32_t rows = smaller(out_h - oy, MP_BAND_ROWS);
        for (uint32_t ox = 0; ox < out_w; ox += strip)
            convolve(op, core, in, out, oy, ox, rows, smaller(out_w - ox, strip), workspace);
    }
    mp_tile8_clamp(op->act_min, op->act_max, out, out_h * out_w * shape->out_ch);
}
