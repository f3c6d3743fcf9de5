/* Rows of listed pairs over a tile of four positions: format and arithmetic in pairs_dsp.h. */
#include "pairs_dsp.h"

#include "clamp_s8.h"

enum { TURN_STEPS = 16 };

/* Sums of 256 * A + B, and B. */
typedef struct {
    int32_t both, b;
} sums;

static inline sums step(uint32_t x, uint32_t w, sums at)
{
    const sums next = {mp_smlad(x, w, at.both), mp_smlad(x, mp_sxtb16(w), at.b)};
    return next;
}

/* Rows until the last of the call at one position. skip: 1 where the first row is not stored. Returns what follows in
 * the stream. */
static const uint32_t *one_position(const uint32_t *s, const uint32_t *tile, int8_t *out, uint32_t skip)
{
    for (uint32_t shifts = 0; !(shifts & 0x100); skip = 0, out += 1 + (shifts >> 17 & 1)) {
        const uint32_t lacks = s[0] >> 22;
        const uint32_t *x = tile + (s[0] & 0xffff) / sizeof *tile;
        sums at = {(int32_t)s[2], (int32_t)s[3]};
        at = step(*x, s[1], at);
        s += 4;
        for (uint32_t groups = (TURN_STEPS - lacks + 3) / 4; groups > 0; groups--, s += 5) {
            const uint32_t index = s[4]; /* steps that are lacking are zeros */
            at = step(*(x += (index >> 24) * MP_PAIR_POSITIONS), s[3], at);
            at = step(*(x += (index >> 16 & 0xff) * MP_PAIR_POSITIONS), s[2], at);
            at = step(*(x += (index >> 8 & 0xff) * MP_PAIR_POSITIONS), s[1], at);
            at = step(*(x += (index & 0x7f) * MP_PAIR_POSITIONS), s[0], at);
            groups += (index & 0x80) / (0x80 / (TURN_STEPS / 4));
        }
        const int32_t a = (int32_t)((uint32_t)at.both - (uint32_t)at.b);
        shifts = s[2];
        const uint32_t right_a = shifts & 0xff, right_b = shifts >> 9 & 0xff;
        if (shifts >> 31) {
            if (!skip) out[0] = mp_requant_signed(a >> 8, (int32_t)s[0], (int32_t)s[1], right_a);
            out[1] = mp_requant_signed(at.b, (int32_t)s[3], (int32_t)s[4], right_b);
        } else {
            if (!skip) out[0] = mp_requant_relu_wide(a, (int32_t)s[0], (int32_t)s[1], right_a);
            out[1] = mp_requant_relu(at.b, (int32_t)s[3], (int32_t)s[4], right_b);
        }
        s += 5;
    }
    return s;
}

#if MP_DSP

/* The same at four positions. stride: bytes between positions of out.
 *
 * Registers: r4 stream, r5 the pair's words in the tile; r6 to r9 256 * A + B at the four positions, r10 r11 r12 lr B;
 * r0 weights, r1 those of B, r2 r3 activations and before them the index. The first step starts the sums, the others
 * run through an unrolled chain of TURN_STEPS, entered so far before its end that the last turn is whole.
 *
 * One step, 19 cycles for 16 products: LDRB and LDR 3, ADD, SXTB16, LDR x 2 3, SMLAD x 4, LDR x 2 3, SMLAD x 4
 * (Cortex-M4 TRM, DDI 0439, 3.3). A turn's end costs 2 or 4, two rows at four positions some 65.
 *
 * Frame: 0 tile, 4 out, 8 stride. */
MP_NAKED static const uint32_t *four_positions(MP_UNUSED const uint32_t *stream, MP_UNUSED const uint32_t *tile,
                                        MP_UNUSED int8_t *out, MP_UNUSED uint32_t stride)
{
#define ONE_STEP(load_index, load_weights, index, narrow)                                                              \
        load_index load_weights index                                                                                  \
        "sxtb16 r1, r0                   \n"                                                                           \
        "ldr" narrow " r2, [r5]          \n"                                                                           \
        "ldr" narrow " r3, [r5, #4]      \n"                                                                           \
        "smlad  r6, r2, r0, r6           \n"                                                                           \
        "smlad  r7, r3, r0, r7           \n"                                                                           \
        "smlad  r10, r2, r1, r10         \n"                                                                           \
        "smlad  r11, r3, r1, r11         \n"                                                                           \
        "ldr" narrow " r2, [r5, #8]      \n"                                                                           \
        "ldr.w  r3, [r5, #12]            \n"                                                                           \
        "smlad  r8, r2, r0, r8           \n"                                                                           \
        "smlad  r9, r3, r0, r9           \n"                                                                           \
        "smlad  r12, r2, r1, r12         \n"                                                                           \
        "smlad  lr, r3, r1, lr           \n"
#define SLOT(n)                                                                                                        \
        ONE_STEP("ldrb.w r2, [r4, #16 + " #n "]\n", "ldr.w  r0, [r4, #4 * " #n "]\n",                                  \
                 "add.w  r5, r5, r2, lsl #4\n", ".w")
#define LAST_OF_GROUP                                                                                                  \
        ONE_STEP("ldrb.w r2, [r4, #16]\n", "ldr.w  r0, [r4], #20\n", "add.w  r5, r5, r2, lsl #4\n", ".w")
#define LAST_OF_TURN /* carry: another turn follows */                                                                 \
        ONE_STEP("ldrb.w r2, [r4, #16]\n", "ldr.w  r0, [r4], #20\n",                                                   \
                 "lsls.n r2, r2, #25\n add.w  r5, r5, r2, lsr #21\n", ".n")
    __asm volatile(
        "push   {r1-r11, lr}             \n"
        "mov    r4, r0                   \n"

        "1:                              \n" /* two rows */
        "ldr    r5, [sp]                 \n"
        "ldr    r1, [r4, #4]             \n"
        "ldr    r6, [r4, #8]             \n"
        "ldr    r10, [r4, #12]           \n"
        "ldr    r0, [r4], #16            \n"
        "uxtah  r5, r5, r0               \n"
        "lsr    r3, r0, #16              \n" /* 64 bytes for every step that the first turn lacks */
        "sxtb16 r0, r1                   \n"
        "ldr    r2, [r5]                 \n"
        "ldr    r7, [r5, #4]             \n"
        "ldr    r8, [r5, #8]             \n"
        "ldr    r9, [r5, #12]            \n"
        "smlad  r11, r7, r0, r10         \n"
        "smlad  r12, r8, r0, r10         \n"
        "smlad  lr, r9, r0, r10          \n"
        "smlad  r10, r2, r0, r10         \n"
        "smlad  r7, r7, r1, r6           \n"
        "smlad  r8, r8, r1, r6           \n"
        "smlad  r9, r9, r1, r6           \n"
        "smlad  r6, r2, r1, r6           \n"
        "add    pc, r3                   \n"
        "nop                             \n"

        "2:                              \n" /* the chain: 64 bytes a step */
        ".rept  3                        \n" SLOT(3) SLOT(2) SLOT(1) LAST_OF_GROUP
        ".endr                           \n" SLOT(3) SLOT(2) SLOT(1) LAST_OF_TURN
        "bcs.w  2b                       \n"
        "3:                              \n"
        ".if    3b - 2b - 16 * 64        \n"
        ".error \"a step is not 64 bytes\" \n"
        ".endif                          \n"

        "ldr    r3, [sp, #4]             \n" /* out, stride */
        "ldr    r5, [sp, #8]             \n"
        "ldr    r1, [r4, #4]             \n" /* mult A, half A, shifts */
        "ldr    r2, [r4, #8]             \n"
        "ldr    r0, [r4], #12            \n"
        "cmp    r2, #0                   \n"
        "bmi    4f                       \n"
        "sub    r7, r7, r11              \n"
        MP_ASM_REQUANT_RELU_WIDE("r7", "r0", "r1", "r2")
        "strb   r7, [r3, r5]             \n"
        "sub    r8, r8, r12              \n"
        MP_ASM_REQUANT_RELU_WIDE("r8", "r0", "r1", "r2")
        "strb   r8, [r3, r5, lsl #1]     \n"
        "add    r7, r5, r5, lsl #1       \n"
        "sub    r9, r9, lr               \n"
        MP_ASM_REQUANT_RELU_WIDE("r9", "r0", "r1", "r2")
        "strb   r9, [r3, r7]             \n"
        "sub    r6, r6, r10              \n"
        MP_ASM_REQUANT_RELU_WIDE("r6", "r0", "r1", "r2")
        "strb   r6, [r3], #1             \n"
        "ldm    r4!, {r0, r1}            \n"
        "lsrs   r2, r2, #9               \n" /* carry: last; kept to the end */
        MP_ASM_REQUANT_RELU("r11", "r0", "r1", "r2")
        "strb   r11, [r3, r5]            \n"
        MP_ASM_REQUANT_RELU("r12", "r0", "r1", "r2")
        "strb   r12, [r3, r5, lsl #1]    \n"
        MP_ASM_REQUANT_RELU("lr", "r0", "r1", "r2")
        "strb   lr, [r3, r7]             \n"
        MP_ASM_REQUANT_RELU("r10", "r0", "r1", "r2")
        "strb   r10, [r3]                \n"
        "add    r3, r3, r2, lsr #8       \n"
        "str    r3, [sp, #4]             \n"
        "bcc.w  1b                       \n"
        "b      5f                       \n"

        "4:                              \n" /* the same, signed */
        "sub    r6, r6, r10              \n"
        "asr    r6, r6, #8               \n"
        MP_ASM_REQUANT("r5", "r6", "r0", "r1", "r2")
        "strb   r5, [r3]                 \n"
        "ldr    r5, [sp, #8]             \n"
        "sub    r7, r7, r11              \n"
        "asr    r7, r7, #8               \n"
        MP_ASM_REQUANT("r6", "r7", "r0", "r1", "r2")
        "strb   r6, [r3, r5]             \n"
        "sub    r8, r8, r12              \n"
        "asr    r8, r8, #8               \n"
        MP_ASM_REQUANT("r6", "r8", "r0", "r1", "r2")
        "strb   r6, [r3, r5, lsl #1]     \n"
        "add    r7, r5, r5, lsl #1       \n"
        "sub    r9, r9, lr               \n"
        "asr    r9, r9, #8               \n"
        MP_ASM_REQUANT("r6", "r9", "r0", "r1", "r2")
        "strb   r6, [r3, r7]             \n"
        "ldm    r4!, {r0, r1}            \n"
        "lsrs   r2, r2, #9               \n"
        MP_ASM_REQUANT("r6", "r10", "r0", "r1", "r2")
        "strb   r6, [r3, #1]!            \n"
        MP_ASM_REQUANT("r6", "r11", "r0", "r1", "r2")
        "strb   r6, [r3, r5]             \n"
        MP_ASM_REQUANT("r6", "r12", "r0", "r1", "r2")
        "strb   r6, [r3, r5, lsl #1]     \n"
        MP_ASM_REQUANT("r6", "lr", "r0", "r1", "r2")
        "strb   r6, [r3, r7]             \n"
        "ubfx   r2, r2, #8, #1           \n"
        "add    r3, r2                   \n"
        "str    r3, [sp, #4]             \n"
        "bcc.w  1b                       \n"

        "5:                              \n"
        "mov    r0, r4                   \n"
        "add    sp, #12                  \n"
        "pop    {r4-r11, pc}             \n");
#undef ONE_STEP
#undef SLOT
#undef LAST_OF_GROUP
#undef LAST_OF_TURN
}

#else

static const uint32_t *four_positions(const uint32_t *stream, const uint32_t *tile, int8_t *out, uint32_t stride)
{
    const uint32_t *rest = stream;
    for (uint32_t j = 0; j < MP_PAIR_POSITIONS; j++)
        rest = one_position(stream, tile + j, out + j * stride, 0);
    return rest;
}

#endif

/* All rows at `count` positions, 1 or 4. */
static void convolve_tile(const mp_conv2d_s8_smlad *op, const uint32_t *tile, uint32_t count, int8_t *out)
{
    const uint32_t rows = op->shape.out_ch;
    const uint32_t *s = op->rows;
    if (count == MP_PAIR_POSITIONS && rows > 1) {
        if (op->last_alone) s = four_positions(s, tile, out + rows - 2, rows);
        four_positions(s, tile, out, rows);
        return;
    }
    for (const uint32_t *end = tile + count; tile != end; tile++, out += rows) {
        s = op->rows;
        if (op->last_alone) s = one_position(s, tile, out + rows - 2, 1);
        if (rows > 1) one_position(s, tile, out, 0);
    }
}

void mp_pair_convolve(mp_pair_order order, const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out,
                      void *workspace, mp_pack *pack)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w, rows = shape->out_ch;
    const size_t words = mp_pair_tile_words(order, shape);
    uint32_t *tile = workspace;
    int8_t *column = (int8_t *)(tile + words), *aside = column + mp_column_bytes(shape);

    mp_tiler tiler = {.shape = shape, .order = order, .pitch = MP_PAIR_POSITIONS, .pack = pack, .in = in};
    tiler.column = column;
    tiler.runs = op->run_count ? op->runs : NULL, tiler.run_count = op->run_count ? op->run_count : 1;
    mp_tile_start(&tiler);
    for (uint32_t p = 0; p < positions; p += MP_PAIR_POSITIONS) {
        const uint32_t left = positions - p, count = left < MP_PAIR_POSITIONS ? left : MP_PAIR_POSITIONS;
        const int few = count == 2 || count == 3;
        int8_t *to = out + p * rows;
        if (few) memset(tile, 0, sizeof *tile * words);
        mp_tile_next(&tiler, count, tile);
        convolve_tile(op, tile, few ? MP_PAIR_POSITIONS : count, few ? aside : to);
        if (few) memcpy(to, aside, count * rows);
    }
    mp_clamp_range(out, (size_t)positions * rows, op->act_min, op->act_max);
}
