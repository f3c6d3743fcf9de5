/* Depthwise 3x3 convolution, int8, for cores with the DSP extension. Equals depthwise_conv2d_s8_dense_ref.c.
 *
 * in, out: as in the reference. Four channels at a time (the last four overlap the ones before where channels are no
 * multiple of 4). Their inputs are unpacked into pairs of int16, x[y][x] below x[y + 1][x] for even y, so that SMLAD
 * takes two taps of a column at once: six products an output in place of nine.
 *
 * Workspace, from a multiple of 16 bytes on:
 *   a strip is one pair of input rows; a column of it 4 words, one for each channel
 *   16 bytes        in front of the first column
 *   columns * 128   column by column, 8 strips each
 *   4 * 40          the channels' parameters, unpacked
 * A band of output rows is done per filling: 14 of stride 1, 7 of stride 2, and 24 or 12 output columns. Where a block
 * of outputs has been computed, its leftmost column is done with: results are gathered there, before the strip. */
#include "clamp_s8.h"
#include "depthwise_walks_dsp.h"
#include "mp_numerics.h"
#include "mp_simd.h"

enum {
    CHANNELS = MP_DW_CHANNELS,
    COLUMN_WORDS = MP_DW_COLUMN,
    TILE_COLUMNS = 24, /* divided by the stride */
    FRONT_WORDS = 4,
    ALIGNMENT = 16,
};

_Static_assert(sizeof(mp_depthwise_row) == 20, "dsp_depthwise.py knows it");

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t tile_columns(const mp_conv_shape *shape) /* output columns */
{
    const uint32_t tile = TILE_COLUMNS / shape->stride_w;
    return shape->out_w < tile ? shape->out_w : tile;
}

static uint32_t input_columns(const mp_conv_shape *shape, uint32_t columns)
{
    return (columns - 1) * shape->stride_w + 3;
}

size_t mp_depthwise_conv2d_s8_dense_dsp_workspace(const mp_conv_shape *shape)
{
    const uint32_t words = FRONT_WORDS + COLUMN_WORDS * input_columns(shape, tile_columns(shape));
    return ALIGNMENT - 4 + 4 * (words + CHANNELS * MP_DW_SIGNED_WORDS);
}

/* Bytes of weights + 128 as int16 lanes of weights times 2^up. */
static inline uint32_t scaled(uint32_t lanes, int32_t up, uint32_t zero) { return mp_ssub16(lanes << up, zero); }

/* Four channels as depthwise_walks_dsp.h wants them. */
__attribute__((noinline)) static void unpack_channels(const mp_depthwise_conv2d_s8_dsp *op, uint32_t c, uint32_t *to)
{
    const mp_depthwise_row *row = op->rows + c;
    const int32_t half = (1 << (MP_DW_RIGHT - 1)) + mp_shift_left(op->out_zp, MP_DW_RIGHT);
    const int relu = op->walks->words == MP_DW_RELU_WORDS;
#pragma GCC unroll 1
    for (const mp_depthwise_row *end = row + CHANNELS; row != end; row++, to += MP_DW_RELU_WORDS) {
        const uint32_t columns_01 = mp_load_word(row->taps), column_2 = mp_load_word(row->taps + 4);
        const uint32_t rows_12 = mp_load_word(row->taps + 8);
        const int32_t power = row->taps[5], up = relu ? power : 1;
        const uint32_t zero = 0x00800080u << up;
        const uint32_t upper0 = scaled(mp_uxtb16(columns_01), up, zero);
        const uint32_t upper1 = scaled(mp_uxtb16_odd(columns_01), up, zero);
        const uint32_t lower2 = scaled(mp_uxtb16(rows_12), up, zero);
        const uint32_t rows_02 = scaled(mp_uxtb16(column_2), up, zero);
        to[0] = upper0;
        to[1] = upper1;
        to[2] = mp_pkhbt(rows_02, lower2);
        to[3] = mp_pkhtb(upper0, rows_02);
        to[4] = mp_pkhtb(upper1, scaled(mp_uxtb16_odd(column_2), up, zero));
        to[5] = lower2;
        to[MP_DW_BIAS] = (uint32_t)row->bias;
        to[MP_DW_MULT] = (uint32_t)row->mult;
        if (relu) {
            to[MP_DW_LAST] = (uint32_t)(half + (1 << (up - 2)));
        } else {
            to[MP_DW_LAST] = (1u << (32 - power)) + 1;
            to[MP_DW_LAST + 1] = (uint32_t)op->out_zp;
            to++;
        }
    }
}

/* Pairs of input rows; a step of 0 repeats a pixel. The assembler knows the order. */
typedef struct {
    const int8_t *row0, *row1; /* first of four channels */
    uint32_t step0, step1;     /* bytes from pixel to pixel */
    uint32_t *strip;
    uint32_t pixels;
    uint32_t strips; /* at least one */
    uint32_t jump;   /* bytes from one pair of rows to the next */
} mp_dw_rows;

#if MP_DSP

/* Registers: r0 to r6 as in mp_dw_rows, r5 pixels left, r6 their words; r7 to r11 data. On the stack: strips, pixels,
 * strip, jump. Two pixels: 32 cycles. */
#define UNPACK_PIXEL(x0, x1, at)                                                                                       \
    "pkhbt  r11, " x0 ", " x1 ", lsl #16       \n"                                                                     \
    "pkhtb  " x1 ", " x1 ", " x0 ", asr #16    \n"                                                                     \
    "sxtb16 " x0 ", r11                        \n"                                                                     \
    "sxtb16 r11, r11, ror #8                   \n"                                                                     \
    "str    " x0 ", [r6, #" at "]              \n"                                                                     \
    "str    r11, [r6, #" at " + 4]             \n"                                                                     \
    "sxtb16 " x0 ", " x1 "                     \n"                                                                     \
    "sxtb16 " x1 ", " x1 ", ror #8             \n"                                                                     \
    "str    " x0 ", [r6, #" at " + 8]          \n"                                                                     \
    "str    " x1 ", [r6, #" at " + 12]         \n"

__attribute__((noinline)) static void unpack_strips(const mp_dw_rows *rows)
{
    register const mp_dw_rows *r0 __asm("r0") = rows;
    __asm volatile("push   {r4-r11}              \n"
                   "ldm    r0, {r0-r6, r12}      \n"
                   "mov    lr, r6                \n"
                   "1:                           \n"
                   "push   {r0, r1, r4, r5}      \n"
                   "mov    r6, r4                \n"
                   "subs   r5, #2                \n"
                   "blo    3f                    \n"
                   "2:                           \n"
                   "ldr    r7, [r0]              \n"
                   "ldr    r8, [r0, r2]          \n"
                   "ldr    r9, [r1]              \n"
                   "ldr    r10, [r1, r3]         \n"
                   "add    r0, r0, r2, lsl #1    \n"
                   "add    r1, r1, r3, lsl #1    \n" UNPACK_PIXEL("r7", "r9", "0") UNPACK_PIXEL("r8", "r10", "128")
                   "add    r6, r6, #256          \n"
                   "subs   r5, #2                \n"
                   "bhs    2b                    \n"
                   "3:                           \n"
                   "adds   r5, #1                \n" /* -1 left: one pixel; -2: none */
                   "bne    4f                    \n"
                   "ldr    r7, [r0]              \n"
                   "ldr    r9, [r1]              \n" UNPACK_PIXEL("r7", "r9", "0")
                   "4:                           \n"
                   "pop    {r0, r1, r4, r5}      \n"
                   "add    r0, r0, r12           \n"
                   "add    r1, r1, r12           \n"
                   "adds   r4, #16               \n"
                   "subs   lr, #1                \n"
                   "bne    1b                    \n"
                   "pop    {r4-r11}              \n"
                   : "+r"(r0)
                   :
                   : "r1", "r2", "r3", "r12", "lr", "cc", "memory");
}

#else

static void unpack_strips(const mp_dw_rows *rows)
{
    for (uint32_t s = 0; s < rows->strips; s++) {
        for (uint32_t i = 0; i < rows->pixels; i++) {
            const uint32_t x0 = mp_load_word(rows->row0 + s * rows->jump + i * rows->step0);
            const uint32_t x1 = mp_load_word(rows->row1 + s * rows->jump + i * rows->step1);
            const uint32_t channels_01 = mp_pkhbt(x0, x1), channels_23 = mp_pkhtb(x0, x1);
            uint32_t *word = rows->strip + i * COLUMN_WORDS + s * CHANNELS;
            word[0] = mp_sxtb16(channels_01);
            word[1] = mp_sxtb16_odd(channels_01);
            word[2] = mp_sxtb16(channels_23);
            word[3] = mp_sxtb16_odd(channels_23);
        }
    }
}

#endif

/* One filling of the workspace: what is the same for all channels. */
typedef struct {
    uint32_t y;           /* input row of the first strip; may be above the image (wraps) */
    uint32_t in;          /* bytes to that row and the first column inside */
    uint32_t columns;     /* of inputs */
    uint32_t left, right; /* columns from left on and before right lie inside */
    uint32_t strips;
    uint32_t outside; /* pad_value four times */
    uint32_t out;     /* bytes to the first output */
    uint32_t out_rows, out_columns;
} mp_dw_part;

/* Columns outside of the image: pad_value twice in each word. */
__attribute__((noinline)) static void fill(uint32_t *column, uint32_t columns, uint32_t value)
{
    for (const uint32_t *end = column + columns * COLUMN_WORDS; column != end; column += 8) {
        for (int i = 0; i < 8; i++)
            column[i] = value;
    }
}

/* Four channels of the input, the first at `in`. */
__attribute__((noinline)) static void unpack(const mp_conv_shape *shape, const mp_dw_part *part, const int8_t *in,
                                             uint32_t *tile)
{
    const uint32_t ch = shape->in_ch, pitch = shape->in_w * ch, in_h = shape->in_h;
    const int8_t *outside = (const int8_t *)&part->outside;
    mp_dw_rows rows = {
        .strip = tile + part->left * COLUMN_WORDS, .pixels = part->right - part->left, .jump = 2 * pitch};
    uint32_t y = part->y, at = part->in; /* of a row above the image: beyond all others */

    if (part->left > 0) fill(tile, part->left, mp_sxtb16(part->outside));
    if (part->right < part->columns)
        fill(tile + part->right * COLUMN_WORDS, part->columns - part->right, mp_sxtb16(part->outside));
    for (uint32_t strips = part->strips; strips > 0; strips -= rows.strips) {
        const int above = y < in_h, below = y + 1 < in_h;
        rows.row0 = above ? in + at : outside;
        rows.row1 = below ? in + (at + pitch) : outside;
        rows.step0 = above ? ch : 0;
        rows.step1 = below ? ch : 0;
        rows.strips = above && below ? least(strips, (in_h - y) / 2) : 1;
        unpack_strips(&rows);
        rows.strip += rows.strips * CHANNELS;
        at += rows.strips * rows.jump;
        y += 2 * rows.strips;
    }
}

/* Outputs of one filling, `rows` x `columns`. */
__attribute__((noinline)) static void convolve(const mp_depthwise_conv2d_s8_dsp *op, const uint32_t *tile,
                                               const uint32_t *channels, uint32_t rows, uint32_t columns, int8_t *out)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t stride = shape->stride_w, block = 2 * stride * COLUMN_WORDS, strip = stride * CHANNELS;
    mp_dw_walk walk = {.out = out, .column_step = shape->out_ch, .row_step = (uint32_t)shape->out_w * shape->out_ch};
    walk.end = tile + rows / 2 * strip;
    walk.last = walk.end + rows % 2 * strip;
    if (rows == 1) walk.row_step = 0, walk.end = walk.last;
    for (; columns >= 2; columns -= 2) {
        op->walks->four(tile, channels, &walk);
        tile += block, walk.end += block, walk.last += block, walk.out += 2 * walk.column_step;
    }
    if (columns) op->walks->two(tile, channels, &walk);
}

/* The part of the image that gives outputs from (y, x) on, at most rows x columns. */
__attribute__((noinline)) static void choose_part(const mp_conv_shape *shape, uint32_t y, uint32_t x, uint32_t rows,
                                                  uint32_t columns, mp_dw_part *part)
{
    const uint32_t stride = shape->stride_w;
    const int32_t in_x = (int32_t)(x * stride) - shape->pad_left;
    part->out = (y * shape->out_w + x) * shape->out_ch;
    part->out_rows = least(rows, shape->out_h - y);
    part->out_columns = least(columns, shape->out_w - x);
    part->columns = input_columns(shape, part->out_columns);
    part->strips = stride == 1 ? (part->out_rows + 1) / 2 + 1 : part->out_rows + 1;
    part->left = in_x < 0 ? (uint32_t)-in_x : 0;
    part->right = least(part->columns, (uint32_t)(shape->in_w - in_x));
    part->y = (uint32_t)((int32_t)(y * stride) - shape->pad_top);
    part->in = (part->y * shape->in_w + (uint32_t)in_x + part->left) * shape->in_ch;
    part->outside = (uint8_t)shape->pad_value * 0x01010101u;
}

void mp_depthwise_conv2d_s8_dense_dsp(const mp_depthwise_conv2d_s8_dsp *op, const int8_t *in, int8_t *out,
                                      void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t ch = shape->out_ch, rows = shape->stride_w == 1 ? 2 * (MP_DW_STRIPS - 1) : MP_DW_STRIPS - 1;
    const uint32_t columns = tile_columns(shape);
    uint32_t *aligned = (uint32_t *)(((uintptr_t)workspace + (ALIGNMENT - 1)) & ~(uintptr_t)(ALIGNMENT - 1));
    uint32_t *tile = aligned + FRONT_WORDS;
    uint32_t *channels = tile + COLUMN_WORDS * input_columns(shape, columns);

    for (uint32_t y = 0; y < shape->out_h; y += rows) {
        for (uint32_t x = 0; x < shape->out_w; x += columns) {
            mp_dw_part part;
            choose_part(shape, y, x, rows, columns, &part);
            for (uint32_t group = 0; group < ch; group += CHANNELS) {
                const uint32_t c = least(group, ch - CHANNELS);
                unpack_channels(op, c, channels);
                unpack(shape, &part, in + c, tile);
                convolve(op, tile, channels, part.out_rows, part.out_columns, out + part.out + c);
            }
        }
    }
    mp_clamp_range(out, (size_t)shape->out_h * shape->out_w * ch, op->act_min, op->act_max);
}
