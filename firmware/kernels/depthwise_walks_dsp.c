/* Walks down the strips of a 3x3 depthwise convolution, for cores with the DSP extension: depthwise_walks_dsp.h. */
#include "depthwise_walks_dsp.h"
#include "mp_simd.h"

#if MP_DSP

/* Registers: r0 strip; r1 the channel's parameters; r2 to r4 and r5 to r7 upper and lower weights; r8 bias, then a sum;
 * r9 to r12 and lr: inputs and sums. Requantization: r2 mult, r3 r4 last, r5 result. On the stack: mp_dw_walk.
 *
 * Cycles (Cortex-M4 TRM, DDI 0439, 3.3) of four outputs of a channel, stride 1: weights 8, 8 inputs in three groups 5
 * + 3 + 3, products 24, relu 3 + 12: 58, signed 4 + 16: 63; stride 2: 68 and 73. Four channels share 21 for results
 * and loop, or 33 where they are done two by two. */

#define LAST_relu "ldm    r1!, {r2, r3}            \n"
#define REQUANT_relu(acc, at)                                                                                          \
    "smmla  r5, " acc ", r2, r3       \n"                                                                              \
    "ssat   r5, #8, r5, asr #10       \n"                                                                              \
    "strb   r5, [r0, #-16 + " at "]   \n"
#define BACK_relu "subs   r1, #144                  \n"

#define LAST_signed "ldm    r1!, {r2-r4}             \n"
#define REQUANT_signed(acc, at)                                                                                        \
    "smmulr r5, " acc ", r2           \n"                                                                              \
    "smmlar r5, r5, r3, r4            \n"                                                                              \
    "ssat   r5, #8, r5                \n"                                                                              \
    "strb   r5, [r0, #-16 + " at "]   \n"
#define BACK_signed "subs   r1, #160                  \n"

/* Stride 1. Sums of rows y and y + 1 += strip `up` and `down` of a column times its weights. */
#define COLUMN_1(y0, y1, up, down, upper, lower, from0, from1)                                                         \
    "smlad  " y0 ", " up ", " upper ", " from0 "   \n"                                                                 \
    "smlatb " y1 ", " up ", " upper ", " from1 "   \n"                                                                 \
    "smlabt " y0 ", " down ", " lower ", " y0 "    \n"                                                                 \
    "smlad  " y1 ", " down ", " lower ", " y1 "    \n"

#define FOUR_1(kind, o, h)                                                                                             \
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
    LAST_##kind REQUANT_##kind("lr", "0 + " h) REQUANT_##kind("r10", "4 + " h) REQUANT_##kind("r9", "8 + " h)          \
        REQUANT_##kind("r8", "12 + " h)

#define TWO_1(kind, o, h)                                                                                              \
    "ldm    r1!, {r2-r8}              \n"                                                                              \
    "ldr    r9, [r0, #" o "]          \n"                                                                              \
    "ldr    r10, [r0, #" o " + 16]    \n"                                                                              \
    "ldr    r11, [r0, #" o " + 128]   \n"                                                                              \
    "ldr    r12, [r0, #" o " + 144]   \n" COLUMN_1("lr", "r8", "r9", "r10", "r2", "r5", "r8", "r8")                    \
    "ldr    r9, [r0, #" o " + 256]    \n"                                                                              \
    "ldr    r10, [r0, #" o " + 272]   \n" COLUMN_1("lr", "r8", "r11", "r12", "r3", "r6", "lr", "r8")                   \
        COLUMN_1("lr", "r8", "r9", "r10", "r4", "r7", "lr", "r8")                                                      \
    LAST_##kind REQUANT_##kind("lr", "0 + " h) REQUANT_##kind("r8", "2 + " h)

/* Stride 2. A sum += strip `up` and `down` of a column times its weights. */
#define COLUMN_2(sum, up, down, upper, lower, from)                                                                    \
    "smlad  " sum ", " up ", " upper ", " from "   \n"                                                                 \
    "smlabt " sum ", " down ", " lower ", " sum "  \n"

#define FOUR_2(kind, o, h)                                                                                             \
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
    LAST_##kind REQUANT_##kind("lr", "0 + " h) REQUANT_##kind("r10", "2 + " h) REQUANT_##kind("r9", "4 + " h)          \
        REQUANT_##kind("r8", "6 + " h)

#define TWO_2(kind, o, h)                                                                                              \
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
    LAST_##kind REQUANT_##kind("lr", "0 + " h) REQUANT_##kind("r8", "2 + " h)

/* Four channels in two turns; then r0 is 16 bytes on, and the results lie from r0 - 32 on. */
#define FOUR_CHANNELS(kind, outputs)                                                                                   \
    "1:                               \n" outputs(kind, "0", "0") outputs(kind, "4", "1")                              \
    "adds   r0, #8                    \n"                                                                              \
    "tst    r0, #8                    \n"                                                                              \
    "bne    1b                        \n"                                                                              \
    BACK_##kind

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
#define ALL_CHANNELS(kind, outputs)                                                                                    \
    "1:                               \n" outputs(kind, "0", "0") outputs(kind, "4", "1") outputs(kind, "8", "2")      \
        outputs(kind, "12", "3")                                                                                       \
    "adds   r0, #16                   \n"                                                                              \
    BACK_##kind

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
    __attribute__((noinline)) static void name(const uint32_t *strip, const uint32_t *channels, const mp_dw_walk *walk)\
    {                                                                                                                  \
        register const uint32_t *r0 __asm("r0") = strip;                                                               \
        register const uint32_t *r1 __asm("r1") = channels;                                                            \
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

/* Stride 2 ends two strips on. */
#define SAME ""
#define SKIP "adds   r0, #16                   \n"

#define WALKS(kind)                                                                                                    \
    WALK(four_1_##kind, ALL_CHANNELS(kind, FOUR_1) STORE_ALL(SAME))                                                    \
    WALK(two_1_##kind, FOUR_CHANNELS(kind, TWO_1) STORE_TWO(SAME))                                                     \
    WALK(four_2_##kind, FOUR_CHANNELS(kind, FOUR_2) STORE_FOUR(SKIP))                                                  \
    WALK(two_2_##kind, FOUR_CHANNELS(kind, TWO_2) STORE_TWO(SKIP))

#else

/* Input row and column of a block for one of the four channels. */
static int32_t input(const uint32_t *strip, uint32_t row, uint32_t column, uint32_t channel)
{
    const uint32_t pair = strip[column * MP_DW_COLUMN + row / 2 * MP_DW_CHANNELS + channel];
    return row % 2 ? mp_high16(pair) : mp_low16(pair);
}

static int32_t sum_of(const uint32_t *strip, uint32_t row, uint32_t column, uint32_t channel, const uint32_t *words)
{
    int32_t sum = (int32_t)words[MP_DW_BIAS];
    for (uint32_t k = 0; k < 3; k++) {
        const uint32_t upper = words[k], lower = words[3 + k];
        sum += input(strip, row, column + k, channel) * mp_low16(upper);
        sum += input(strip, row + 1, column + k, channel) * mp_high16(upper);
        sum += input(strip, row + 2, column + k, channel) * mp_high16(lower);
    }
    return sum;
}

static int8_t requant(const uint32_t *words, uint32_t count, int32_t sum)
{
    const int32_t mult = (int32_t)words[MP_DW_MULT], last = (int32_t)words[MP_DW_LAST];
    if (count == MP_DW_RELU_WORDS) return mp_ssat_s8(mp_smmla(sum, mult, last) >> MP_DW_RIGHT);
    return mp_ssat_s8(mp_smmlar(mp_smmulr(sum, mult), last, (int32_t)words[MP_DW_LAST + 1]));
}

/* count: words of a channel. */
static void down(const uint32_t *strip, const uint32_t *channels, const mp_dw_walk *walk, uint32_t columns,
                 uint32_t stride, uint32_t count)
{
    int8_t *out = walk->out;
    for (; strip != walk->last; strip += stride * MP_DW_CHANNELS, out += 2 * walk->row_step) {
        for (uint32_t row = 0; row < (strip == walk->end || walk->row_step == 0 ? 1 : 2); row++) {
            for (uint32_t column = 0; column < columns; column++) {
                int8_t *to = out + row * walk->row_step + column * walk->column_step;
                for (uint32_t c = 0; c < MP_DW_CHANNELS; c++) {
                    const uint32_t *words = channels + c * count;
                    to[c] = requant(words, count, sum_of(strip, row * stride, column * stride, c, words));
                }
            }
        }
    }
}

#define WALK(name, columns, stride, words)                                                                             \
    static void name(const uint32_t *strip, const uint32_t *channels, const mp_dw_walk *walk)                          \
    {                                                                                                                  \
        down(strip, channels, walk, columns, stride, words);                                                           \
    }

enum { words_relu = MP_DW_RELU_WORDS, words_signed = MP_DW_SIGNED_WORDS };

#define WALKS(kind)                                                                                                    \
    WALK(four_1_##kind, 2, 1, words_##kind)                                                                            \
    WALK(two_1_##kind, 1, 1, words_##kind)                                                                             \
    WALK(four_2_##kind, 2, 2, words_##kind)                                                                            \
    WALK(two_2_##kind, 1, 2, words_##kind)

#endif

WALKS(relu)
WALKS(signed)

const mp_depthwise_walks mp_depthwise_relu_1 = {four_1_relu, two_1_relu, MP_DW_RELU_WORDS};
const mp_depthwise_walks mp_depthwise_relu_2 = {four_2_relu, two_2_relu, MP_DW_RELU_WORDS};
const mp_depthwise_walks mp_depthwise_signed_1 = {four_1_signed, two_1_signed, MP_DW_SIGNED_WORDS};
const mp_depthwise_walks mp_depthwise_signed_2 = {four_2_signed, two_2_signed, MP_DW_SIGNED_WORDS};
