/* The part of 3x3 depthwise kernels that is the same on every core: planes, channels, columns of outputs.
 *
 * A last block of less than four channels begins earlier, at channels that are then computed twice. The row below an
 * odd band is computed from what the plane holds there and not stored. */
#include "depthwise3x3_s8.h"

#include <string.h>

#include "clamp_s8.h"
#include "mp_numerics.h"

enum { LANES = 4 };

static uint32_t smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* A column of outputs runs along the longer side of the output, so that there are few of them: the rows of a plane are
 * those of the input, or its columns. */
static int is_turned(const mp_conv_shape *shape) { return shape->out_w > shape->out_h && shape->stride_w <= 2; }

/* Input rows that `rows` output rows see. */
static uint32_t seen(uint32_t rows, uint32_t stride) { return (rows - 1) * stride + 3; }

size_t mp_depthwise3x3_workspace(const mp_conv_shape *shape)
{
    const int turned = is_turned(shape);
    const uint32_t rows = smaller(turned ? shape->out_w : shape->out_h, MP_BAND_ROWS);
    return (size_t)MP_PLANE_PITCH * seen((rows + 1) / 2 * 2, turned ? shape->stride_w : shape->stride_h);
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
    const uint32_t down = is_turned(shape) ? 1 : MP_PLANE_COLS, right = is_turned(shape) ? MP_PLANE_COLS : 1;
    const int words = (((uintptr_t)in | ch) & 3) == 0;
    const int32_t in_w = shape->in_w;
    for (uint32_t r = 0; r < rows; r++, y++, plane += down) {
        const int inside = y >= 0 && y < shape->in_h;
        const int8_t *row = inside ? in + (uint32_t)(y * in_w) * ch : in;
        uint32_t *word = plane, c = 0;
        for (; c < cols && (!inside || x + (int32_t)c < 0); c++, word += right)
            *word = pad;
        if (c < cols && x + (int32_t)c < in_w) {
            const uint32_t end = smaller(cols, (uint32_t)(in_w - x));
            const int8_t *pixel = row + (uint32_t)(x + (int32_t)c) * ch;
            if (words) {
                for (; c < end; c++, pixel += ch, word += right)
                    *word = four(pixel, 1) ^ flip;
            } else {
                for (; c < end; c++, pixel += ch, word += right)
                    *word = four(pixel, 0) ^ flip;
            }
        }
        for (; c < cols; c++, word += right)
            *word = pad;
    }
}

static void taps_of(const mp_depthwise_conv2d_s8_rows *op, uint32_t flip, uint32_t c, mp_taps3x3 *taps)
{
    const uint32_t ch = op->shape.out_ch;
    const uint32_t down = is_turned(&op->shape) ? ch : 3 * ch, right = 4 * ch - down;
    const int8_t *w = op->weights + c;
    int32_t sum = 0;
    for (int t = 0; t < 9; t += 3, w += down) {
        const int32_t w0 = w[0], w1 = w[right], w2 = w[2 * right];
        taps->weights[t] = 2 * w0;
        taps->weights[t + 1] = 2 * w1;
        taps->weights[t + 2] = 2 * w2;
        sum += w0 + w1 + w2;
    }
    taps->bias = 2 * (op->rows[c].bias - (flip ? 128 * sum : 0));
}

/* Outputs [oy, oy + rows) x [ox, ox + cols). */
static void convolve(const mp_depthwise_conv2d_s8_rows *op, const mp_depthwise3x3 *core, const int8_t *in, int8_t *out,
                     uint32_t oy, uint32_t ox, uint32_t rows, uint32_t cols, uint32_t *plane)
{
    const mp_conv_shape *shape = &op->shape;
    const int turned = is_turned(shape);
    const uint32_t ch = shape->out_ch, row_bytes = shape->out_w * ch;
    const uint32_t length = turned ? cols : rows, columns = turned ? rows : cols; /* of outputs in the plane */
    const uint32_t next = turned ? row_bytes : ch;
    const uint32_t step = (uint32_t)LANES * (turned ? shape->stride_h : shape->stride_w);
    const int32_t y = (int32_t)(oy * shape->stride_h) - shape->pad_top;
    const int32_t x = (int32_t)(ox * shape->stride_w) - shape->pad_left;
    const mp_tile8_out to = {turned ? ch : row_bytes, length, op->out_zp};
    void (*const column)(const uint8_t *, const mp_taps3x3 *, int32_t *, uint32_t) =
        (turned ? shape->stride_w : shape->stride_h) == 1 ? core->column : core->column_stride2;
    int32_t sums[MP_BAND_ROWS];
    mp_taps3x3 taps;

    out += oy * row_bytes + ox * ch;
    for (uint32_t c = 0; c < ch; c += LANES) {
        if (c + LANES > ch) c = ch - LANES;
        gather(shape, in + c, y, x, seen(rows, shape->stride_h), seen(cols, shape->stride_w), core->flip, plane);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const uint8_t *window = (const uint8_t *)plane + lane;
            const mp_row *row = &op->rows[c + lane];
            mp_tile8_store *const store = mp_tile8_store_of(core->store, row);
            int8_t *o = out + c + lane;
            taps_of(op, core->flip, c + lane, &taps);
            for (uint32_t i = 0; i < columns; i++, window += step, o += next) {
                column(window, &taps, sums, (length + 1) / 2);
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
    const int turned = is_turned(shape);
    const uint32_t across = turned ? shape->stride_h : shape->stride_w;
    const uint32_t strip = (MP_PLANE_COLS - 3) / across + 1;
    const uint32_t most_rows = turned ? strip : MP_BAND_ROWS, most_cols = turned ? MP_BAND_ROWS : strip;
    for (uint32_t oy = 0; oy < out_h; oy += most_rows) {
        const uint32_t rows = smaller(out_h - oy, most_rows);
        for (uint32_t ox = 0; ox < out_w; ox += most_cols)
            convolve(op, core, in, out, oy, ox, rows, smaller(out_w - ox, most_cols), workspace);
    }
    mp_clamp_range(out, (size_t)out_h * out_w * shape->out_ch, op->act_min, op->act_max);
}
