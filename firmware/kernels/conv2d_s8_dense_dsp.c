/* 2-D convolution over dense rows, int8, for cores with the DSP extension. Equals conv2d_s8_dense_ref.c.
 *
 *   acc[p][o] = bias[o] + sum_k column[p][k] * row[o][k]
 *   out[p][o] = clamp(requant(acc[p][o]) + out_zp, act_min, act_max)       (requant_dsp.h)
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in, or in itself where the convolution is
 * pointwise and out_ch <= in_ch: two positions are read before they are written.
 *
 * Four rows A B C D by two positions, SMLAD over pairs of columns. A weight word holds two rows as 16-bit lanes
 * 256 * a + b, for both columns of a pair: it multiplies the activations as it is, which sums 256 * A + B, and after
 * SXTB16, which sums B. Sums wrap; the difference, 512 * A of doubled activations, does not, as |A| < 2^22.
 *
 * Stream of four rows, words; pairs as of MP_EVEN_ODD (tile_s8_dsp.h):
 *   lanes of the first pair: AB, CD; start: 2 * (256 * bias A + bias B), 2 * bias B, the same of C and D, modulo 2^32
 *   lanes of every other pair: AB, CD
 *   mult A, half A, shifts, mult B, half B, mult C, half C, mult D, half D (requant_dsp.h)
 * shifts: bits 0-7 right of A, 8 last of its call, 9-16 B, 17-24 C, 25-30 D, 31 signed requantization. Unless signed, A
 * and C are requantized wide.
 * If out_ch is no multiple of 4, the first four rows are the last ones of the layer, behind rows of zeros.
 *
 * Workspace: a tile of 8 bytes a pair, at least two, behind it an im2col column, none for 1x1 of stride 1. Pairs are
 * ceil(cols / 2), or with windows and an odd in_ch up to ceil(cols * 4 / 7):
 *   8 * max(pairs, 2) + (pointwise ? 0 : ceil(cols / 4) * 4) bytes */
#include "clamp_s8.h"
#include "requant_dsp.h"
#include "tile_s8_dsp.h"

enum { POSITIONS = 2, ROWS = 4, CHAIN_STEPS = 20 };

/* At least 2. */
static uint32_t pairs_of(const mp_conv_shape *shape)
{
    const uint32_t apart = !mp_conv_is_pointwise(shape) && mp_rows_apart(MP_EVEN_ODD, shape) ? shape->kernel_h : 1;
    const uint32_t pairs = apart * ((mp_conv_cols(shape) / apart + 1) / 2);
    return pairs > 2 ? pairs : 2;
}

/* The most that windows of so many columns have: rows of 7 and more are padded to an even number of columns. */
static uint32_t most_pairs(const mp_conv_shape *shape)
{
    const uint32_t cols = mp_conv_cols(shape), odd = shape->in_ch % 2 && !mp_conv_is_pointwise(shape);
    const uint32_t pairs = odd ? (4 * cols + 6) / 7 : (cols + 1) / 2;
    return pairs > 2 ? pairs : 2;
}

size_t mp_conv2d_s8_dense_dsp_workspace(const mp_conv_shape *shape)
{
    return sizeof(uint32_t) * POSITIONS * most_pairs(shape) + mp_column_bytes(shape);
}

static int8_t requant(uint32_t shifts, uint32_t right, uint32_t mult, uint32_t half, int32_t twice, int wide)
{
    if (shifts >> 31) return mp_requant_signed(wide ? twice >> 8 : twice, (int32_t)mult, (int32_t)half, right);
    if (wide) return mp_requant_relu_wide(twice, (int32_t)mult, (int32_t)half, right);
    return mp_requant_relu(twice, (int32_t)mult, (int32_t)half, right);
}

/* Sums of a tile's position: 256 * A + B, B, 256 * C + D, D. */
typedef struct {
    int32_t ab, b, cd, d;
} sums;

static inline sums step(uint32_t x, const uint32_t *w, sums at)
{
    const uint32_t first = w[0], second = w[1];
    const sums next = {mp_smlad(x, first, at.ab), mp_smlad(x, mp_sxtb16(first), at.b), mp_smlad(x, second, at.cd),
                       mp_smlad(x, mp_sxtb16(second), at.d)};
    return next;
}

/* Rows until the last of the call at one position of a tile. skip: rows of the first four that are not stored.
 * Returns what follows in the stream. */
static const uint32_t *one_position(const uint32_t *s, const uint32_t *tile, uint32_t pairs, int8_t *out, uint32_t skip)
{
    for (uint32_t shifts = 0; !(shifts & 0x100); skip = 0, out += ROWS) {
        const uint32_t *x = tile + POSITIONS;
        sums at = {(int32_t)s[2], (int32_t)s[3], (int32_t)s[4], (int32_t)s[5]};
        at = step(tile[0], s, at);
        s += 6;
        if (pairs % 2 == 0) {
            at = step(x[0], s, at);
            x += POSITIONS, s += 2;
        }
        for (const uint32_t *end = s + ((pairs - 1) & ~1U) * 2; s != end; x += 2 * POSITIONS, s += 4) {
            at = step(x[0], s, at);
            at = step(x[POSITIONS], s + 2, at);
        }
        const int32_t a = (int32_t)((uint32_t)at.ab - (uint32_t)at.b), c = (int32_t)((uint32_t)at.cd - (uint32_t)at.d);
        shifts = s[2];
        if (skip < 1) out[0] = requant(shifts, shifts & 0xff, s[0], s[1], a, 1);
        if (skip < 2) out[1] = requant(shifts, shifts >> 9 & 0xff, s[3], s[4], at.b, 0);
        if (skip < 3) out[2] = requant(shifts, shifts >> 17 & 0xff, s[5], s[6], c, 1);
        out[3] = requant(shifts, shifts >> 25 & 0x3f, s[7], s[8], at.d, 0);
        s += 9;
    }
    return s;
}

#if MP_DSP

/* Rows until the last of the call at both positions of a tile. stride: bytes between positions of out.
 *
 * Registers: r4 stream, r5 tile; r6 r7 256 * A + B at both positions, r8 r9 B, r10 r11 256 * C + D, r12 lr D;
 * r0 r1 weights, r2 r3 activations. The first pair starts the sums from the stream, the others run through an unrolled
 * chain of CHAIN_STEPS, entered so far before its end that the last turn is whole.
 *
 * One pair, 15 cycles for 16 products: LDR x 4 in a run 5, SXTB16 x 2, SMLAD x 8 (Cortex-M4 TRM, DDI 0439, 3.3). In the
 * chain r4 and r5 point at the last words that were read, so that the turn's last loads move them. A turn's end costs
 * 6, four rows at two positions some 85.
 *
 * Frame: 0 tile where the chain is entered, 4 bytes of the stream before that place, 8 12 first activations, 16 entry,
 * 20 tile at the end, 24 out, 28 stride. */
MP_NAKED static const uint32_t *two_positions(MP_UNUSED const uint32_t *stream, MP_UNUSED const uint32_t *tile,
                                              MP_UNUSED int8_t *out, MP_UNUSED uint32_t stride,
                                              MP_UNUSED uint32_t pairs, MP_UNUSED uint32_t skipped)
{
    __asm volatile(
        "push   {r4-r11, lr}             \n"
        "ldrd   r4, r5, [sp, #36]        \n" /* pairs, skipped steps */
        "sub    sp, #36                  \n"
        "strd   r2, r3, [sp, #24]        \n"
        "ldrd   r2, r3, [r1]             \n"
        "strd   r2, r3, [sp, #8]         \n"
        "add    r4, r1, r4, lsl #3       \n"
        "sub    r4, #4                   \n"
        "str    r4, [sp, #20]            \n"
        "lsl    r2, r5, #3               \n"
        "sub    r1, r1, r2               \n"
        "add    r1, #4                   \n"
        "strd   r1, r2, [sp]             \n"
        "adr.w  r2, 2f                   \n"
        "movs   r3, #48                  \n"
        "mla    r2, r5, r3, r2           \n"
        "subs   r3, r5, #15              \n"
        "it     hi                       \n"
        "addhi  r2, r2, r3, lsl #3       \n"
        "orr    r2, #1                   \n"
        "str    r2, [sp, #16]            \n"
        "sub    r4, r0, #4               \n"

        "1:                              \n" /* four rows */
        "ldr    r5, [sp]                 \n"
        "ldr    lr, [sp, #4]             \n"
        "ldr    r2, [sp, #8]             \n"
        "ldr    r3, [sp, #12]            \n"
        "ldr    r0, [r4, #4]             \n"
        "ldr    r1, [r4, #8]             \n"
        "ldr    r6, [r4, #12]            \n"
        "ldr    r8, [r4, #16]            \n"
        "ldr    r10, [r4, #20]           \n"
        "ldr    r12, [r4, #24]!          \n"
        "sub    r4, r4, lr               \n"
        "smlad  r7, r3, r0, r6           \n"
        "smlad  r6, r2, r0, r6           \n"
        "sxtb16 r0, r0                   \n"
        "smlad  r9, r3, r0, r8           \n"
        "smlad  r8, r2, r0, r8           \n"
        "smlad  r11, r3, r1, r10         \n"
        "smlad  r10, r2, r1, r10         \n"
        "sxtb16 r1, r1                   \n"
        "smlad  lr, r3, r1, r12          \n"
        "smlad  r12, r2, r1, r12         \n"
        "ldr    pc, [sp, #16]            \n"

#define LOADS(width)                                                                                                   \
        "ldr" width " r0, [r4, #mp_at]   \n"                                                                           \
        "ldr" width " r1, [r4, #mp_at + 4] \n"                                                                         \
        "ldr" width " r2, [r5, #mp_at]   \n"                                                                           \
        "ldr" width " r3, [r5, #mp_at + 4] \n"                                                                         \
        ".set   mp_at, mp_at + 8         \n"
#define PRODUCTS                                                                                                       \
        "smlad  r6, r2, r0, r6           \n"                                                                           \
        "smlad  r7, r3, r0, r7           \n"                                                                           \
        "sxtb16 r0, r0                   \n"                                                                           \
        "smlad  r8, r2, r0, r8           \n"                                                                           \
        "smlad  r9, r3, r0, r9           \n"                                                                           \
        "smlad  r10, r2, r1, r10         \n"                                                                           \
        "smlad  r11, r3, r1, r11         \n"                                                                           \
        "sxtb16 r1, r1                   \n"                                                                           \
        "smlad  r12, r2, r1, r12         \n"                                                                           \
        "smlad  lr, r3, r1, lr           \n"
        ".balign 4                       \n"
        "2:                              \n" /* the chain: 15 steps of 48 bytes, whose loads are short, 5 of 56 */
        ".set   mp_at, 4                 \n"
        ".rept  15                       \n" LOADS(".n") PRODUCTS
        ".endr                           \n"
        ".rept  4                        \n" LOADS(".w") PRODUCTS
        ".endr                           \n"
        "ldr.w  r0, [r4, #mp_at]         \n"
        "ldr.w  r2, [r5, #mp_at]         \n"
        "ldr.w  r1, [r4, #mp_at + 4]!    \n"
        "ldr.w  r3, [r5, #mp_at + 4]!    \n" PRODUCTS
        "ldr    r0, [sp, #20]            \n"
        "cmp    r5, r0                   \n"
        "bne.w  2b                       \n"
#undef LOADS
#undef PRODUCTS

        "ldr    r3, [sp, #24]            \n" /* out, stride */
        "ldr    r5, [sp, #28]            \n"
        "ldr    r0, [r4, #4]             \n" /* mult A, half A, shifts */
        "ldr    r1, [r4, #8]             \n"
        "ldr    r2, [r4, #12]!           \n"
        "cmp    r2, #0                   \n"
        "bmi    3f                       \n"
        "add    r5, r3                   \n"
        "sub    r6, r6, r8               \n"
        "sub    r7, r7, r9               \n"
        MP_ASM_REQUANT_RELU_WIDE("r6", "r0", "r1", "r2")
        "strb   r6, [r3], #4             \n"
        MP_ASM_REQUANT_RELU_WIDE("r7", "r0", "r1", "r2")
        "strb   r7, [r5]                 \n"
        "ldr    r0, [r4, #4]             \n" /* mult B, half B, mult C, half C */
        "ldr    r1, [r4, #8]             \n"
        "ldr    r6, [r4, #12]            \n"
        "ldr    r7, [r4, #16]!           \n"
        "lsrs   r2, r2, #9               \n" /* carry: last; kept to the end */
        MP_ASM_REQUANT_RELU("r8", "r0", "r1", "r2")
        "strb   r8, [r3, #-3]            \n"
        MP_ASM_REQUANT_RELU("r9", "r0", "r1", "r2")
        "strb   r9, [r5, #1]             \n"
        "lsr    r2, r2, #8               \n"
        "sub    r10, r10, r12            \n"
        "sub    r11, r11, lr             \n"
        MP_ASM_REQUANT_RELU_WIDE("r10", "r6", "r7", "r2")
        "strb   r10, [r3, #-2]           \n"
        MP_ASM_REQUANT_RELU_WIDE("r11", "r6", "r7", "r2")
        "strb   r11, [r5, #2]            \n"
        "ldr    r0, [r4, #4]             \n"
        "ldr    r1, [r4, #8]!            \n"
        "lsr    r2, r2, #8               \n"
        MP_ASM_REQUANT_RELU("r12", "r0", "r1", "r2")
        "strb   r12, [r3, #-1]           \n"
        MP_ASM_REQUANT_RELU("lr", "r0", "r1", "r2")
        "strb   lr, [r5, #3]             \n"
        "str    r3, [sp, #24]            \n"
        "bcc.w  1b                       \n"
        "b      4f                       \n"

        "3:                              \n" /* the same, signed */
        "sub    r6, r6, r8               \n"
        "asr    r6, r6, #8               \n"
        MP_ASM_REQUANT("r5", "r6", "r0", "r1", "r2")
        "strb   r5, [r3]                 \n"
        "ldr    r5, [sp, #28]            \n"
        "add    r5, r3                   \n"
        "sub    r7, r7, r9               \n"
        "asr    r7, r7, #8               \n"
        MP_ASM_REQUANT("r6", "r7", "r0", "r1", "r2")
        "strb   r6, [r5]                 \n"
        "ldr    r0, [r4, #4]             \n"
        "ldr    r1, [r4, #8]!            \n"
        "lsrs   r2, r2, #9               \n"
        MP_ASM_REQUANT("r6", "r8", "r0", "r1", "r2")
        "strb   r6, [r3, #1]             \n"
        MP_ASM_REQUANT("r6", "r9", "r0", "r1", "r2")
        "strb   r6, [r5, #1]             \n"
        "ldr    r0, [r4, #4]             \n"
        "ldr    r1, [r4, #8]             \n"
        "ldr    r6, [r4, #12]            \n"
        "ldr    r7, [r4, #16]!           \n"
        "lsr    r2, r2, #8               \n"
        "sub    r10, r10, r12            \n"
        "asr    r10, r10, #8             \n"
        MP_ASM_REQUANT("r8", "r10", "r0", "r1", "r2")
        "strb   r8, [r3, #2]             \n"
        "sub    r11, r11, lr             \n"
        "asr    r11, r11, #8             \n"
        MP_ASM_REQUANT("r8", "r11", "r0", "r1", "r2")
        "strb   r8, [r5, #2]             \n"
        "lsr    r2, r2, #8               \n"
        "and    r2, r2, #0x3f            \n"
        MP_ASM_REQUANT("r8", "r12", "r6", "r7", "r2")
        "strb   r8, [r3, #3]             \n"
        MP_ASM_REQUANT("r8", "lr", "r6", "r7", "r2")
        "strb   r8, [r5, #3]             \n"
        "add    r3, #4                   \n"
        "str    r3, [sp, #24]            \n"
        "bcc.w  1b                       \n"

        "4:                              \n"
        "add    r0, r4, #4               \n"
        "add    sp, #36                  \n"
        "pop    {r4-r11, pc}             \n");
}

#else

static const uint32_t *two_positions(const uint32_t *stream, const uint32_t *tile, int8_t *out, uint32_t stride,
                                     uint32_t pairs, uint32_t skipped)
{
    (void)skipped;
    one_position(stream, tile, pairs, out, 0);
    return one_position(stream, tile + 1, pairs, out + stride, 0);
}

#endif

static uint32_t *pack(const int8_t *x, uint32_t bytes, uint32_t rows, uint32_t stride, const uint16_t *runs,
                      uint32_t *tile)
{
    return mp_tile_pack(MP_EVEN_ODD, POSITIONS, x, bytes, rows, stride, runs, tile);
}

void mp_conv2d_s8_dense_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace)
{
    const uint32_t positions = (uint32_t)op->shape.out_h * op->shape.out_w, pairs = pairs_of(&op->shape);
    const uint32_t rows = op->shape.out_ch, rest = rows % ROWS, skipped = (CHAIN_STEPS - 1) - (pairs - 2) % CHAIN_STEPS;
    uint32_t *tile = workspace;
    int8_t *column = (int8_t *)(tile + POSITIONS * most_pairs(&op->shape)), *to = out;

    mp_tiler tiler = {.shape = &op->shape, .order = MP_EVEN_ODD, .pitch = POSITIONS, .pack = pack, .run_count = 1};
    tiler.in = in, tiler.column = column;
    mp_tile_start(&tiler);

    memset(tile, 0, sizeof(uint32_t) * POSITIONS * 2); /* a second pair, where the columns have one */
    for (uint32_t p = 0; p < positions; p += POSITIONS) {
        const uint32_t count = positions - p < POSITIONS ? 1 : POSITIONS;
        const uint32_t *s = op->rows;
        mp_tile_next(&tiler, count, tile);
        if (count == POSITIONS && rows >= ROWS) {
            if (rest) s = two_positions(s, tile, to + rows - ROWS, rows, pairs, skipped);
            two_positions(s, tile, to, rows, pairs, skipped);
            to += POSITIONS * rows;
            continue;
        }
        for (uint32_t j = 0; j < count; j++, to += rows) {
            s = op->rows;
            if (rest) s = one_position(s, tile + j, pairs, to + rows - ROWS, ROWS - rest);
            if (rows >= ROWS) one_position(s, tile + j, pairs, to, 0);
        }
    }
    mp_clamp_range(out, (size_t)positions * rows, op->act_min, op->act_max);
}
