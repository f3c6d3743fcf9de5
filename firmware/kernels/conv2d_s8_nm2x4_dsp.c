/* 2-D convolution over rows with at most two nonzeros in each four columns, int8, for cores with the DSP extension.
 *
 *   acc[p][o] = bias[o] + sum over the steps of row o: a * column[p][i] + b * column[p][j]
 *   out[p][o] = clamp(requant(acc[p][o], mult[o], -right) + out_zp, act_min, act_max)
 *
 * A tile of 8 positions holds all six pairs of each four columns (MP_SIX of tile_s8_dsp.h) as words of two doubled
 * 16-bit lanes, 32 bytes a pair: SMLAD multiplies both weights of a step at one position. Positions that are left, one
 * or two, have tiles of their own.
 *
 * Steps, words: byte 0 pairs from the step before to this one, less 1, and 0 in a row's first; bytes 1 and 3 its weights;
 * byte 2 is 1 in a row's first step. mp_row.pairs: number of the first pair times 16, plus the number of steps modulo 16.
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch); workspace: 48 bytes a column, behind it an im2col
 * column, none for 1x1 of stride 1. out may be in where the layer is pointwise and out_ch <= in_ch. */
#include "clamp_s8.h"
#include "row_requant.h"
#include "tile_s8_dsp.h"

enum { POSITIONS = 8, PAIRS = 6 };

size_t mp_conv2d_s8_nm2x4_dsp_workspace(const mp_conv_shape *shape)
{
    const size_t cols = mp_conv_cols(shape);
    return sizeof(uint32_t) * POSITIONS * PAIRS * (cols / 4) + (mp_conv_is_pointwise(shape) ? 0 : cols);
}

/* All rows over one tile of `count` positions, 1..8. The assembler reads the members by their offsets. */
typedef struct {
    const uint32_t *tile;
    const uint32_t *steps;
    const mp_row *rows;
    int8_t *out;
    uint32_t out_ch;
    int32_t twice_zp_1;
    const mp_row *rows_end;
    uint32_t count;
} tile_job;

/* The pairs of a column, `apart` words from one to the next. */
static void pack(const int8_t *x, uint32_t cols, uint32_t apart, uint32_t *tile)
{
    for (const int8_t *end = x + cols; x != end; x += 4, tile += PAIRS * apart)
        mp_tile_group(MP_SIX, apart, mp_load_word(x), tile);
}

/* The same of an output position. column: scratch where it is gathered. */
static void pack_position(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t apart,
                          uint32_t *tile, int8_t *column)
{
    const uint32_t cols = mp_conv_cols(shape);
    if (mp_conv_is_pointwise(shape)) {
        pack(in + position * cols, cols, apart, tile);
    } else {
        mp_im2col_s8(shape, in, position, column);
        pack(column, cols, apart, tile);
    }
}

/* Rows of one position, one word a pair. */
static void one_position(const tile_job *job)
{
    const uint32_t *steps = job->steps;
    int8_t *out = job->out;
    for (const mp_row *row = job->rows; row != job->rows_end; row++) {
        const uint32_t *x = job->tile + row->pairs / 16;
        int32_t twice = 2 * row->bias;
        uint32_t step = *steps++;
        do {
            twice = mp_smlad(*x, mp_sxtb16_odd(step), twice);
            step = *steps++;
            x += 1 + (step & 255);
        } while (!(step & 0x10000));
        steps--;
        *out++ = mp_row_requant(row, job->twice_zp_1, twice);
    }
}

/* Output bytes of one row. */
static void store(const tile_job *job, const mp_row *row, const int32_t *twice, int8_t *out)
{
    for (uint32_t j = 0; j < job->count; j++)
        out[j * job->out_ch] = mp_row_requant(row, job->twice_zp_1, twice[j]);
}

#if MP_DSP

_Static_assert(sizeof(tile_job) == 32 && sizeof(mp_row) == 12, "the offsets below");

/* What the assembler calls for rows that are PLAIN and for tiles of less than 8 positions. */
__attribute__((used)) static void store_slowly(const tile_job *job, const mp_row *row, const int32_t *twice,
                                               int8_t *out)
{
    store(job, row, twice, out);
}

/* A step, 23 cycles for 16 products, 56 bytes. r4 the pair's words; r5 the stream, behind the step at hand; r3 its
 * weights; r6 to r12 and lr the sums, doubled. r2 gets the next step; r0 r1 free. Twice LDM 4 and SMLAD 3, LDR 2 and two
 * behind it 1 each, SMLAD 2, then the next pair's words and weights 3. */
#define MP_STEP                                                                                                        \
    "ldm.n   r4!, {r0, r1, r2}            \n"                                                                          \
    "smlad   r6, r0, r3, r6               \n"                                                                          \
    "smlad   r7, r1, r3, r7               \n"                                                                          \
    "smlad   r8, r2, r3, r8               \n"                                                                          \
    "ldm.n   r4!, {r0, r1, r2}            \n"                                                                          \
    "smlad   r9, r0, r3, r9               \n"                                                                          \
    "smlad   r10, r1, r3, r10             \n"                                                                          \
    "smlad   r11, r2, r3, r11             \n"                                                                          \
    "ldr.n   r1, [r4, #4]                 \n"                                                                          \
    "ldr.w   r0, [r4], #8                 \n"                                                                          \
    "ldr.w   r2, [r5], #4                 \n"                                                                          \
    "smlad   r12, r0, r3, r12             \n"                                                                          \
    "smlad   lr, r1, r3, lr               \n"                                                                          \
    "uxtb.n  r0, r2                       \n"                                                                          \
    "add.w   r4, r4, r0, lsl #5           \n"                                                                          \
    "sxtb16  r3, r2, ror #8               \n"

/* r0 half, r2 mult, r3 right in its low byte. */
#define MP_SIGNED(t, twice, address)                                                                                   \
    MP_ASM_REQUANT(t, twice, "r2", "r0", "r3")                                                                         \
    "strb    " t ", " address "           \n"
#define MP_RELU(twice, address)                                                                                        \
    MP_ASM_REQUANT_RELU(twice, "r2", "r0", "r3")                                                                       \
    "strb    " twice ", " address "       \n"

/* Frame: a copy of the job, and behind it: */
#define MP_TILE "[sp, #0]"
#define MP_STREAM "[sp, #4]" /* behind the first step of the row */
#define MP_ROW "[sp, #8]"
#define MP_OUT "[sp, #12]" /* of the row */
#define MP_OUT_CH "[sp, #16]"
#define MP_ZP "[sp, #20]"
#define MP_ROWS_END "[sp, #24]"
#define MP_COUNT "[sp, #28]"
#define MP_SPECIAL "[sp, #32]" /* bits of a row's last word that send it to `special` */
#define MP_JOB "[sp, #36]"
#define MP_TWICE "#40" /* 8 words */
#define MP_FRAME "#76"

/* A row: 85 cycles, 102 where it is signed, and 23 each step; 4 each further turn of the chain of 16 steps, which is
 * entered so that the last turn is a whole one. */
MP_NAKED static void eight_positions(MP_UNUSED const tile_job *job)
{
    __asm volatile(
        "push    {r4-r11, lr}                 \n"
        "sub     sp, sp, " MP_FRAME "         \n"
        "ldm     r0, {r1-r8}                  \n"
        "add     r2, r2, #4                   \n"
        "stm     sp, {r1-r8}                  \n"
        "str     r0, " MP_JOB "               \n"
        "movw    r0, #0xFF00                  \n" /* flags */
        "cmp     r8, #8                       \n"
        "it      ne                           \n"
        "movne   r0, #-1                      \n"
        "str     r0, " MP_SPECIAL "           \n"
        "mov     r5, r3                       \n"
        "1:                                   \n" /* a row, r5 */
        "str     r5, " MP_ROW "               \n"
        "ldr     r6, [r5]                     \n"
        "ldrh    r2, [r5, #10]                \n"
        "ldr     r5, " MP_STREAM "            \n"
        "ldr     r4, " MP_TILE "              \n"
        "ldr     r3, [r5, #-4]                \n"
        "and     r0, r2, #15                  \n"
        "lsr     r2, r2, #4                   \n"
        "add     r4, r4, r2, lsl #5           \n"
        "lsl     r6, r6, #1                   \n"
        "sxtb16  r3, r3, ror #8               \n"
        "mov     r7, r6                       \n"
        "mov     r8, r6                       \n"
        "mov     r9, r6                       \n"
        "mov     r10, r6                      \n"
        "mov     r11, r6                      \n"
        "mov     r12, r6                      \n"
        "mov     lr, r6                       \n"
        "tbh     [pc, r0, lsl #1]             \n"
        "2:                                   \n"
        ".irp    n, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 \n"
        ".hword  (4f - 56 * \\n - 2b) / 2     \n"
        ".endr                                \n"
        "3:                                   \n"
        ".rept   16                           \n" MP_STEP ".endr \n"
        "4:                                   \n"
        "tst     r2, #0x10000                 \n"
        "beq     3b                           \n"
        "str     r5, " MP_STREAM "            \n"
        "ldr     r5, " MP_ROW "               \n"
        "ldr     r4, " MP_OUT "               \n"
        "ldr     r0, " MP_ZP "                \n"
        "ldr     r1, " MP_SPECIAL "           \n"
        "ldr     r3, [r5, #8]                 \n" /* right in its low byte, which is what shifts by r3 take */
        "ldr     r2, [r5, #4]                 \n"
        "lsl     r0, r0, r3                   \n"
        "asr     r0, r0, #1                   \n"
        "add     r5, r5, #12                  \n"
        "tst     r3, r1                       \n"
        "bne     6f                           \n"
        "ldr     r1, " MP_OUT_CH "            \n" MP_RELU("r6", "[r4]") MP_RELU("r7", "[r4, r1]")
        "add     r6, r4, #1                   \n"
        "str     r6, " MP_OUT "               \n"
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r8", "[r4]") MP_RELU("r9", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r10", "[r4]") MP_RELU("r11", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r12", "[r4]") MP_RELU("lr", "[r4, r1]")
        "5:                                   \n"
        "ldr     r0, " MP_ROWS_END "          \n"
        "cmp     r5, r0                       \n"
        "bne     1b                           \n"
        "add     sp, sp, " MP_FRAME "         \n"
        "pop     {r4-r11, pc}                 \n"
        "6:                                   \n" /* signed rows, and special ones */
        "add     r1, r4, #1                   \n"
        "str     r1, " MP_OUT "               \n"
        "ldr     r1, " MP_SPECIAL "           \n"
        "bic     r1, r1, #0x800               \n" /* SIGNED */
        "tst     r3, r1                       \n"
        "bne     7f                           \n"
        MP_SIGNED("r1", "r6", "[r4]")
        "ldr     r1, " MP_OUT_CH "            \n" MP_SIGNED("r6", "r7", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r8", "[r4]") MP_SIGNED("r6", "r9", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r10", "[r4]") MP_SIGNED("r6", "r11", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r12", "[r4]") MP_SIGNED("r6", "lr", "[r4, r1]")
        "b       5b                           \n"
        "7:                                   \n"
        "add     r2, sp, " MP_TWICE "         \n"
        "stm     r2, {r6-r12, lr}             \n"
        "mov     r3, r4                       \n"
        "sub     r1, r5, #12                  \n"
        "ldr     r0, " MP_JOB "               \n"
        "bl      store_slowly                 \n"
        "b       5b                           \n"); /* r5 is kept by the call */
}

#else

/* What the assembler above computes. */
static void eight_positions(const tile_job *job)
{
    const uint32_t *steps = job->steps;
    int8_t *out = job->out;
    int32_t twice[POSITIONS];
    for (const mp_row *row = job->rows; row != job->rows_end; row++) {
        const uint32_t *x = job->tile + row->pairs / 16 * POSITIONS;
        uint32_t step = *steps++;
        for (uint32_t j = 0; j < job->count; j++)
            twice[j] = 2 * row->bias;
        do {
            for (uint32_t j = 0; j < job->count; j++)
                twice[j] = mp_smlad(x[j], mp_sxtb16_odd(step), twice[j]);
            step = *steps++;
            x += POSITIONS * (1 + (step & 255));
        } while (!(step & 0x10000));
        steps--;
        store(job, row, twice, out++);
    }
}

#endif

void mp_conv2d_s8_nm2x4_dsp(const mp_conv2d_s8_nm2x4_steps *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w, pairs = mp_conv_cols(shape) / 4 * PAIRS;
    uint32_t *const tile = workspace;
    int8_t *const column = (int8_t *)(tile + POSITIONS * pairs);
    tile_job job = {.tile = tile,
                    .steps = op->steps,
                    .rows = op->table.rows,
                    .out = out,
                    .out_ch = shape->out_ch,
                    .twice_zp_1 = 2 * op->table.out_zp + 1,
                    .rows_end = op->table.rows + op->table.count};

    uint32_t p = 0;
    for (; p + 2 < positions; p += POSITIONS, job.out += POSITIONS * shape->out_ch) {
        job.count = positions - p < POSITIONS ? positions - p : POSITIONS;
        for (uint32_t j = 0; j < job.count; j++)
            pack_position(shape, in, p + j, POSITIONS, tile + j, column);
        eight_positions(&job);
    }
    if (p < positions) { /* one or two: cheaper one by one */
        for (uint32_t j = 0; p + j < positions; j++)
            pack_position(shape, in, p + j, 1, tile + j * pairs, column);
        for (; p < positions; p++, job.tile += pairs, job.out += shape->out_ch)
            one_position(&job);
    }
    mp_clamp_range(out, (size_t)positions * shape->out_ch, op->table.act_min, op->table.act_max);
}
