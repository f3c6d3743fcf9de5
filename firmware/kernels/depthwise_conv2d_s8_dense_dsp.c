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
 *   4 * 40          the channels' parameters, unpacked (mp_dw_channel)
 * A band of output rows is done per filling: 14 of stride 1, 7 of stride 2, and 24 or 12 output columns. Where a block of
 * outputs has been computed, its leftmost column is done with: results are gathered there, in front of the strip. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"
#include "mp_simd.h"

enum {
    CHANNELS = 4,
    STRIPS = 8,
    COLUMN_WORDS = STRIPS * CHANNELS,
    TILE_COLUMNS = 24, /* divided by the stride */
    FRONT_WORDS = 4,
    ALIGNMENT = 16,
};

/* One channel, unpacked; the assembler knows the order. Weights and bias are doubled: SMMLAR of twice the accumulator
 * rounds as TFLite's first step does. */
typedef struct {
    uint32_t upper[3]; /* of each column: weights of rows 0 and 1 as int16 lanes */
    uint32_t lower[3]; /* rows 1 and 2 */
    int32_t bias;
    int32_t mult;
    int32_t factor; /* 2^(32 - right) + 1 */
    int32_t out_zp;
} mp_dw_channel;

_Static_assert(sizeof(mp_dw_channel) == 40 && sizeof(mp_depthwise_row) == 20, "layouts that assembler or Python know");

/* Where a walk down the strips of a block puts its results; the assembler knows the order. */
typedef struct {
    int8_t *out;
    uint32_t column_step, row_step; /* bytes */
    const uint32_t *end;            /* of the strips that give two rows */
    const uint32_t *last;           /* of the one that gives a single row, if any: its second one is overwritten */
} mp_dw_walk;

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t tile_columns(const mp_conv_shape *shape) /* output columns */
{
    const uint32_t tile = TILE_COLUMNS / shape->stride_w;
    return shape->out_w < tile ? shape->out_w : tile;
}

static uint32_t input_columns(const mp_conv_shape *shape, uint32_t columns) { return (columns - 1) * shape->stride_w + 3; }

size_t mp_depthwise_conv2d_s8_dense_dsp_workspace(const mp_conv_shape *shape)
{
    const uint32_t words = FRONT_WORDS + COLUMN_WORDS * input_columns(shape, tile_columns(shape));
    return ALIGNMENT - 4 + 4 * words + CHANNELS * sizeof(mp_dw_channel);
}

#if MP_DSP

/* Walks: down the strips, four channels each, two rows of outputs.
 *
 * Registers: r0 strip; r1 the channel's parameters; r2 to r4 and r5 to r7 upper and lower weights; r8 bias, then a sum;
 * r9 to r12 and lr: inputs and sums. Requantization: r2 mult, r3 half, r4 right, r5 result. On the stack: mp_dw_walk.
 *
 * Cycles (Cortex-M4 TRM, DDI 0439, 3.3) of four outputs of a channel, stride 1: parameters 8 + 4, 8 inputs in three
 * groups 5 + 3 + 3, products 24, requantization 20: 67; stride 2: 77. Four channels share 33 for results and loop. */

/* acc: twice the sum. */
#define REQUANT(acc, at)                                                                                               \
    "smmulr r5, " acc ", r2           \n"                                                                              \
    "smmlar r5, r5, r3, r4            \n"                                                                              \
    "ssat   r5, #8, r5                \n"                                                                              \
    "strb   r5, [r0, #-16 + " at "]   \n"

/* Stride 1. Sums of rows y and y + 1 += strip `up` and `down` of a column times its weights. */
#define COLUMN_1(y0, y1, up, down, upper, lower, from0, from1)                                                         \
    "smlad  " y0 ", " up ", " upper ", " from0 "   \n"                                                                 \
    "smlatb " y1 ", " up ", " upper ", " from1 "   \n"                                                                 \
    "smlabt " y0 ", " down ", " lower ", " y0 "    \n"                                                                 \
    "smlad  " y1 ", " down ", " lower ", " y1 "    \n"

#define FOUR_1(o, h)                                                                                                   \
    "ldm    r1!, {r2-r8}              \n"                                                                              \
    "ldr    r9, [r0, #" o "]          \n"                                                                              \
    "ldr    r10, [r0, #" o " + 16]    \n"                                                                              \
    "ldr    r11, [r0, #" o " + 128]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 144]   \n" COLUMN_1("lr", "r9", "r9", "r10", "r2", "r5", "r8", "r8")                    \
        COLUMN_1("r10", "r8", "r11", "r12", "r2", "r5", "r8", "r8")                                                    \
            COLUMN_1("lr", "r9", "r11", "r12", "r3", "r6", "lr", "r9")                                                 \
    "ldr    r11, [r0, #" o " + 256]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 272]   \n" COLUMN_1("lr", "r9", "r11", "r12", "r4", "r7", "lr", "r9")                   \
        COLUMN_1("r10", "r8", "r11", "r12", "r3", "r6", "r10", "r8")                                                   \
    "ldr    r11, [r0, #" o " + 384]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 400]   \n" COLUMN_1("r10", "r8", "r11", "r12", "r4", "r7", "r10", "r8")                 \
    "ldm    r1!, {r2-r4}              \n" REQUANT("lr", "0 + " h) REQUANT("r10", "4 + " h) REQUANT("r9", "8 + " h)     \
        REQUANT("r8", "12 + " h)

#define TWO_1(o, h)                                                                                                    \
    "ldm    r1!, {r2-r8}              \n"                                                                              \
    "ldr    r9, [r0, #" o "]          \n"                                                                              \
    "ldr    r10, [r0, #" o " + 16]    \n"                                                                              \
    "ldr    r11, [r0, #" o " + 128]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 144]   \n" COLUMN_1("lr", "r8", "r9", "r10", "r2", "r5", "r8", "r8")                    \
    "ldr    r9, [r0, #" o " + 256]    \n"                                                                              \
    "ldr    r10, [r0, #" o " + 272]   \n" COLUMN_1("lr", "r8", "r11", "r12", "r3", "r6", "lr", "r8")                   \
        COLUMN_1("lr", "r8", "r9", "r10", "r4", "r7", "lr", "r8")                                                      \
    "ldm    r1!, {r2-r4}              \n" REQUANT("lr", "0 + " h) REQUANT("r8", "2 + " h)

/* Stride 2. A sum += strip `up` and `down` of a column times its weights. */
#define COLUMN_2(sum, up, down, upper, lower, from)                                                                    \
    "smlad  " sum ", " up ", " upper ", " from "   \n"                                                                 \
    "smlabt " sum ", " down ", " lower ", " sum "  \n"

#define FOUR_2(o, h)                                                                                                   \
    "ldm    r1!, {r2-r8}              \n"                                                                              \
    "ldr    r9, [r0, #" o "]          \n"                                                                              \
    "ldr    r10, [r0, #" o " + 16]    \n"                                                                              \
    "ldr    r11, [r0, #" o " + 32]    \n"                                                                              \
    "ldr    r12, [r0, #" o " + 128]   \n" COLUMN_2("lr", "r9", "r10", "r2", "r5", "r8")                                \
        COLUMN_2("r9", "r10", "r11", "r2", "r5", "r8")                                                                 \
    "ldr    r10, [r0, #" o " + 144]   \n"                                                                              \
    "ldr    r11, [r0, #" o " + 160]   \n" COLUMN_2("lr", "r12", "r10", "r3", "r6", "lr")                               \
        COLUMN_2("r9", "r10", "r11", "r3", "r6", "r9")                                                                 \
    "ldr    r10, [r0, #" o " + 256]   \n"                                                                              \
    "ldr    r11, [r0, #" o " + 272]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 288]   \n" COLUMN_2("lr", "r10", "r11", "r4", "r7", "lr")                               \
        COLUMN_2("r9", "r11", "r12", "r4", "r7", "r9") COLUMN_2("r10", "r10", "r11", "r2", "r5", "r8")                 \
            COLUMN_2("r8", "r11", "r12", "r2", "r5", "r8")                                                             \
    "ldr    r11, [r0, #" o " + 384]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 400]   \n" COLUMN_2("r10", "r11", "r12", "r3", "r6", "r10")                             \
    "smlad  r8, r12, r3, r8           \n"                                                                              \
    "ldr    r11, [r0, #" o " + 416]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 512]   \n"                                                                              \
    "smlabt r8, r11, r6, r8           \n"                                                                              \
    "smlad  r10, r12, r4, r10         \n"                                                                              \
    "ldr    r11, [r0, #" o " + 528]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 544]   \n"                                                                              \
    "smlabt r10, r11, r7, r10         \n" COLUMN_2("r8", "r11", "r12", "r4", "r7", "r8")                               \
    "ldm    r1!, {r2-r4}              \n" REQUANT("lr", "0 + " h) REQUANT("r10", "2 + " h) REQUANT("r9", "4 + " h)     \
        REQUANT("r8", "6 + " h)

#define TWO_2(o, h)                                                                                                    \
    "ldm    r1!, {r2-r8}              \n"                                                                              \
    "ldr    r9, [r0, #" o "]          \n"                                                                              \
    "ldr    r10, [r0, #" o " + 16]    \n"                                                                              \
    "ldr    r11, [r0, #" o " + 32]    \n"                                                                              \
    "ldr    r12, [r0, #" o " + 128]   \n" COLUMN_2("lr", "r9", "r10", "r2", "r5", "r8")                                \
        COLUMN_2("r8", "r10", "r11", "r2", "r5", "r8")                                                                 \
    "ldr    r9, [r0, #" o " + 144]    \n"                                                                              \
    "ldr    r10, [r0, #" o " + 160]   \n"                                                                              \
    "ldr    r11, [r0, #" o " + 256]   \n" COLUMN_2("lr", "r12", "r9", "r3", "r6", "lr")                                \
        COLUMN_2("r8", "r9", "r10", "r3", "r6", "r8")                                                                  \
    "ldr    r9, [r0, #" o " + 272]    \n"                                                                              \
    "ldr    r10, [r0, #" o " + 288]   \n" COLUMN_2("lr", "r11", "r9", "r4", "r7", "lr")                                \
        COLUMN_2("r8", "r9", "r10", "r4", "r7", "r8")                                                                  \
    "ldm    r1!, {r2-r4}              \n" REQUANT("lr", "0 + " h) REQUANT("r8", "2 + " h)

/* Four channels in two turns; then r0 is 16 bytes on, and the results lie from r0 - 32 on. */
#define FOUR_CHANNELS(outputs)                                                                                         \
    "1:                               \n" outputs("0", "0") outputs("4", "1")                                          \
    "adds   r0, #8                    \n"                                                                              \
    "tst    r0, #8                    \n"                                                                              \
    "bne    1b                        \n"                                                                              \
    "subs   r1, #160                  \n"

/* r12: where the walk ends. Behind the strips that give two rows the step between rows becomes 0. */
#define NEXT_STRIP                                                                                                     \
    "cmp    r0, r12                   \n"                                                                              \
    "bne    1b                        \n"                                                                              \
    "ldr    r12, [sp, #16]            \n"                                                                              \
    "movs   r2, #0                    \n"                                                                              \
    "str    r2, [sp, #8]              \n"                                                                              \
    "str    r12, [sp, #12]            \n"                                                                              \
    "cmp    r0, r12                   \n"                                                                              \
    "bne    1b                        \n"

/* The same unrolled, for results that lie as words, one for each position. */
#define ALL_CHANNELS(outputs)                                                                                          \
    "1:                               \n" outputs("0", "0") outputs("4", "1") outputs("8", "2") outputs("12", "3")     \
    "adds   r0, #16                   \n"                                                                              \
    "subs   r1, #160                  \n"

#define STORE_ALL(skip)                                                                                                \
    "ldr    r2, [sp]                  \n"                                                                              \
    "ldr    r3, [sp, #4]              \n"                                                                              \
    "ldr    r4, [sp, #8]              \n"                                                                              \
    "ldr    r5, [r0, #-32]            \n"                                                                              \
    "ldr    r6, [r0, #-28]            \n"                                                                              \
    "ldr    r7, [r0, #-24]            \n"                                                                              \
    "ldr    r8, [r0, #-20]            \n"                                                                              \
    "ldr    r12, [sp, #12]            \n" skip                                                                         \
    "add    r11, r2, r4               \n"                                                                              \
    "str    r8, [r11, r3]             \n"                                                                              \
    "str    r7, [r11]                 \n"                                                                              \
    "str    r6, [r2, r3]              \n"                                                                              \
    "str    r5, [r2]                  \n"                                                                              \
    "add    r2, r11, r4               \n"                                                                              \
    "str    r2, [sp]                  \n" NEXT_STRIP

/* Results of two columns: halfwords (channels 0 1) of row y columns x and x + 1, row y + 1 likewise; (channels 2 3) of
 * the same. The row that may not exist comes first. skip: to the next strip. */
#define STORE_FOUR(skip)                                                                                               \
    "ldr    r2, [sp]                  \n"                                                                              \
    "ldr    r3, [sp, #4]              \n"                                                                              \
    "ldr    r4, [sp, #8]              \n"                                                                              \
    "ldr    r5, [r0, #-32]            \n"                                                                              \
    "ldr    r6, [r0, #-28]            \n"                                                                              \
    "ldr    r7, [r0, #-24]            \n"                                                                              \
    "ldr    r8, [r0, #-20]            \n"                                                                              \
    "ldr    r12, [sp, #12]            \n" skip                                                                         \
    "pkhbt  r9, r5, r7, lsl #16       \n"                                                                              \
    "pkhtb  r5, r7, r5, asr #16       \n"                                                                              \
    "pkhbt  r10, r6, r8, lsl #16      \n"                                                                              \
    "pkhtb  r6, r8, r6, asr #16       \n"                                                                              \
    "add    r11, r2, r4               \n"                                                                              \
    "str    r6, [r11, r3]             \n"                                                                              \
    "str    r10, [r11]                \n"                                                                              \
    "str    r5, [r2, r3]              \n"                                                                              \
    "str    r9, [r2]                  \n"                                                                              \
    "add    r2, r11, r4               \n"                                                                              \
    "str    r2, [sp]                  \n" NEXT_STRIP

#define STORE_TWO(skip)                                                                                                \
    "ldr    r2, [sp]                  \n"                                                                              \
    "ldr    r4, [sp, #8]              \n"                                                                              \
    "ldr    r5, [r0, #-32]            \n"                                                                              \
    "ldr    r7, [r0, #-24]            \n"                                                                              \
    "ldr    r12, [sp, #12]            \n" skip                                                                         \
    "pkhbt  r9, r5, r7, lsl #16       \n"                                                                              \
    "pkhtb  r5, r7, r5, asr #16       \n"                                                                              \
    "add    r11, r2, r4               \n"                                                                              \
    "str    r5, [r11]                 \n"                                                                              \
    "str    r9, [r2]                  \n"                                                                              \
    "add    r2, r11, r4               \n"                                                                              \
    "str    r2, [sp]                  \n" NEXT_STRIP

#define WALK(name, body)                                                                                               \
    __attribute__((noinline)) static void name(const uint32_t *strip, const mp_dw_channel *channels,                   \
                                               const mp_dw_walk *walk)                                                 \
    {                                                                                                                  \
        register const uint32_t *r0 __asm("r0") = strip;                                                               \
        register const mp_dw_channel *r1 __asm("r1") = channels;                                                       \
        register const mp_dw_walk *r2 __asm("r2") = walk;                                                              \
        __asm volatile("push   {r4-r11}    \n"                                                                         \
                       "ldm    r2, {r4-r8} \n"                                                                         \
                       "push   {r4-r8}     \n" body                                                                    \
                       "add    sp, #20     \n"                                                                         \
                       "pop    {r4-r11}    \n"                                                                         \
                       : "+r"(r0), "+r"(r1), "+r"(r2)                                                                  \
                       :                                                                                               \
                       : "r3", "r12", "lr", "cc", "memory");                                                           \
    }

WALK(walk_four_1, ALL_CHANNELS(FOUR_1) STORE_ALL(""))
WALK(walk_two_1, FOUR_CHANNELS(TWO_1) STORE_TWO(""))
WALK(walk_four_2, FOUR_CHANNELS(FOUR_2) STORE_FOUR("adds r0, #16\n"))
WALK(walk_two_2, FOUR_CHANNELS(TWO_2) STORE_TWO("adds r0, #16\n"))

#else

/* Input row and column of a block for one of the four channels. */
static int32_t input(const uint32_t *strip, uint32_t row, uint32_t column, uint32_t channel)
{
    const uint32_t pair = strip[column * COLUMN_WORDS + row / 2 * CHANNELS + channel];
    return row % 2 ? mp_high16(pair) : mp_low16(pair);
}

static int8_t output(const uint32_t *strip, uint32_t row, uint32_t column, uint32_t channel, const mp_dw_channel *c)
{
    int32_t sum = c->bias;
    for (uint32_t k = 0; k < 3; k++) {
        sum += input(strip, row, column + k, channel) * mp_low16(c->upper[k]);
        sum += input(strip, row + 1, column + k, channel) * mp_high16(c->upper[k]);
        sum += input(strip, row + 2, column + k, channel) * mp_high16(c->lower[k]);
    }
    return mp_ssat_s8(mp_smmlar(mp_smmulr(sum, c->mult), c->factor, c->out_zp));
}

static void walk_strips(const uint32_t *strip, const mp_dw_channel *channels, const mp_dw_walk *walk, uint32_t columns,
                        uint32_t stride)
{
    int8_t *out = walk->out;
    for (; strip != walk->last; strip += stride * CHANNELS, out += 2 * walk->row_step) {
        for (uint32_t row = 0; row < (strip == walk->end || walk->row_step == 0 ? 1 : 2); row++) {
            for (uint32_t column = 0; column < columns; column++) {
                int8_t *to = out + row * walk->row_step + column * walk->column_step;
                for (uint32_t c = 0; c < CHANNELS; c++)
                    to[c] = output(strip, row * stride, column * stride, c, channels + c);
            }
        }
    }
}

static void walk_four_1(const uint32_t *strip, const mp_dw_channel *channels, const mp_dw_walk *walk)
{
    walk_strips(strip, channels, walk, 2, 1);
}

static void walk_two_1(const uint32_t *strip, const mp_dw_channel *channels, const mp_dw_walk *walk)
{
    walk_strips(strip, channels, walk, 1, 1);
}

static void walk_four_2(const uint32_t *strip, const mp_dw_channel *channels, const mp_dw_walk *walk)
{
    walk_strips(strip, channels, walk, 2, 2);
}

static void walk_two_2(const uint32_t *strip, const mp_dw_channel *channels, const mp_dw_walk *walk)
{
    walk_strips(strip, channels, walk, 1, 2);
}

#endif

__attribute__((noinline)) static void unpack_channels(const mp_depthwise_row *row, int32_t out_zp, mp_dw_channel *c)
{
#pragma GCC unroll 1
    for (const mp_dw_channel *end = c + CHANNELS; c != end; c++, row++) {
        const uint32_t columns_01 = mp_load_word(row->taps), column_2 = mp_load_word(row->taps + 4);
        const uint32_t upper0 = mp_sxtb16(columns_01), upper1 = mp_sxtb16_odd(columns_01);
        const uint32_t lower2 = mp_sxtb16(mp_load_word(row->taps + 8));
        const uint32_t rows_02 = mp_sxtb16(column_2);
        const uint32_t upper2 = mp_pkhbt(rows_02, lower2);
        const uint32_t lower0 = mp_pkhtb(upper0, rows_02), lower1 = mp_pkhtb(upper1, mp_sxtb16_odd(column_2));
        c->upper[0] = mp_sadd16(upper0, upper0);
        c->upper[1] = mp_sadd16(upper1, upper1);
        c->upper[2] = mp_sadd16(upper2, upper2);
        c->lower[0] = mp_sadd16(lower0, lower0);
        c->lower[1] = mp_sadd16(lower1, lower1);
        c->lower[2] = mp_sadd16(lower2, lower2);
        c->bias = 2 * row->bias;
        c->mult = row->mult;
        c->factor = mp_shift_left(1, 32 - row->taps[5]) + 1;
        c->out_zp = out_zp;
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

/* Registers: r0 to r6 as in mp_dw_rows, r5 pixels left, r6 their words; r7 to r11 data. On the stack: strips, pixels, strip,
 * jump. Two pixels: 32 cycles. */
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
    mp_dw_rows rows = {.strip = tile + part->left * COLUMN_WORDS, .pixels = part->right - part->left, .jump = 2 * pitch};
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
__attribute__((noinline)) static void convolve(const mp_conv_shape *shape, const uint32_t *tile, const mp_dw_channel *channels, uint32_t rows,
                     uint32_t columns, int8_t *out)
{
    const uint32_t stride = shape->stride_w, block = 2 * stride * COLUMN_WORDS, strip = stride * CHANNELS;
    mp_dw_walk walk = {.out = out, .column_step = shape->out_ch, .row_step = (uint32_t)shape->out_w * shape->out_ch};
    walk.end = tile + rows / 2 * strip;
    walk.last = walk.end + rows % 2 * strip;
    if (rows == 1) walk.row_step = 0, walk.end = walk.last;
    for (; columns >= 2; columns -= 2) {
        (stride == 1 ? walk_four_1 : walk_four_2)(tile, channels, &walk);
        tile += block, walk.end += block, walk.last += block, walk.out += 2 * walk.column_step;
    }
    if (columns) (stride == 1 ? walk_two_1 : walk_two_2)(tile, channels, &walk);
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
    const uint32_t ch = shape->out_ch, rows = shape->stride_w == 1 ? 2 * (STRIPS - 1) : STRIPS - 1;
    const uint32_t columns = tile_columns(shape);
    uint32_t *aligned = (uint32_t *)(((uintptr_t)workspace + (ALIGNMENT - 1)) & ~(uintptr_t)(ALIGNMENT - 1));
    uint32_t *tile = aligned + FRONT_WORDS;
    mp_dw_channel *channels = (mp_dw_channel *)(tile + COLUMN_WORDS * input_columns(shape, columns));

    for (uint32_t y = 0; y < shape->out_h; y += rows) {
        for (uint32_t x = 0; x < shape->out_w; x += columns) {
            mp_dw_part part;
            choose_part(shape, y, x, rows, columns, &part);
            for (uint32_t group = 0; group < ch; group += CHANNELS) {
                const uint32_t c = least(group, ch - CHANNELS);
                unpack_channels(op->rows + c, op->out_zp, channels);
                unpack(shape, &part, in + c, tile);
                convolve(shape, tile, channels, part.out_rows, part.out_columns, out + part.out + c);
            }
        }
    }
    if (op->act_min > INT8_MIN || op->act_max < INT8_MAX) {
        for (uint32_t i = (uint32_t)shape->out_h * shape->out_w * ch; i > 0; i--, out++)
            *out = (int8_t)mp_clamp(*out, op->act_min, op->act_max);
    }
}
