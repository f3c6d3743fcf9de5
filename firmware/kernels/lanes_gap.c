/* Gap-coded rows over tiles of lane words: see lanes_gap.h. Rows are the inner loop, tiles the outer one. */
#include "lanes_gap.h"

#include "gap_walk.h"
#include "mp_simd.h"
#include "row_requant.h"

/* Output bytes of one row at job->count positions. twice: 2 * acc of each. */
static void store(const mp_gap_job *job, const mp_row *row, const int32_t *twice, int8_t *out)
{
    for (uint32_t j = 0; j < job->count; j++)
        out[j * job->out_ch] = mp_row_requant(row, job->twice_zp_1, twice[j]);
}

void mp_gap_position(const mp_gap_job *job, const int8_t *column)
{
    const uint8_t *pairs = job->pairs;
    int8_t *out = job->out;
    int32_t acc = 0;
    for (const mp_row *row = job->rows; row != job->rows_end; row++) {
        acc += row->bias;
        pairs = mp_gap_walk(pairs, row->pairs, column, &acc);
        if (row->flags & MP_ROW_MORE) continue;
        *out++ = mp_row_requant(row, job->twice_zp_1, 2 * acc);
        acc = 0;
    }
}

#if MP_DSP

_Static_assert(sizeof(mp_gap_job) == 40 && sizeof(mp_row) == 12, "the offsets below");

/* What the assembler calls for rows that are PLAIN and for tiles of less than 8 positions. */
__attribute__((used)) static void store_slowly(const mp_gap_job *job, const mp_row *row, const int32_t *twice,
                                               int8_t *out)
{
    store(job, row, twice, out);
}

/* A pair, 13 cycles for 8 products, 34 bytes. r4 the column's words; r5 the stream, behind the pair at hand; `w` its
 * value; `next` gets the next value. r6:r7 r8:r9 r10:r11 r12:lr the sums (low:high). r0 r1 free.
 *
 *   LDM 4, SMLAL 3, LDR 2, LDRSB and LDRB behind it 1 each, ADD 1, SMLAL 1. Cortex-M4 TRM, DDI 0439, 3.3. */
#define MP_PAIR(w, next)                                                                                               \
    "ldm.w   r4, {r0, r1, " next "}       \n"                                                                          \
    "smlal   r6, r7, r0, " w "            \n"                                                                          \
    "smlal   r8, r9, r1, " w "            \n"                                                                          \
    "smlal   r10, r11, " next ", " w "    \n"                                                                          \
    "ldr.n   r0, [r4, #12]                \n"                                                                          \
    "ldrsb.w " next ", [r5, #1]           \n"                                                                          \
    "ldrb.w  r1, [r5], #2                 \n"                                                                          \
    "add.w   r4, r4, r1, lsl #4           \n"                                                                          \
    "smlal   r12, lr, r0, " w "           \n"

/* 2 * acc0 and 2 * acc1 of the sum lo:hi; its bit 22 is the one that a negative acc0 borrowed. */
#define MP_SPLIT(lo, hi)                                                                                               \
    "lsrs    r1, " lo ", #23              \n"                                                                          \
    "adc     " hi ", r1, " hi ", lsl #9   \n"                                                                          \
    "lsl     " lo ", " lo ", #9           \n"                                                                          \
    "lsl     " hi ", " hi ", #1           \n"                                                                          \
    "asr     " lo ", " lo ", #8           \n"

/* 512 * acc0 and 512 * acc1. */
#define MP_SPLIT_WIDE(lo, hi)                                                                                          \
    "lsrs    r1, " lo ", #23              \n"                                                                          \
    "adc     " hi ", r1, " hi ", lsl #9   \n"                                                                          \
    "lsl     " lo ", " lo ", #9           \n"                                                                          \
    "lsl     " hi ", " hi ", #9           \n"

/* mp_requant_signed(): r0 half, r2 mult, r3 right in its low byte; t may be a sum that was stored before. */
#define MP_SIGNED(t, twice, address)                                                                                   \
    MP_ASM_REQUANT(t, twice, "r2", "r0", "r3")                                                                         \
    "strb    " t ", " address "           \n"

/* mp_requant_relu_wide(): r3 right + 8, r0 256 * half + 128. */
#define MP_RELU(wide, address)                                                                                         \
    MP_ASM_REQUANT_RELU_WIDE(wide, "r2", "r0", "r3")                                                                   \
    "strb    " wide ", " address "        \n"

/* Adds what the parts of a row before this one have gathered. */
#define MP_CARRIED(twice, at)                                                                                          \
    "ldr     r1, [sp, " MP_TWICE " + " at "] \n"                                                                       \
    "add     " twice ", " twice ", r1     \n"

/* Frame: a copy of the job, and behind it: */
#define MP_TILE "[sp, #0]"
#define MP_STREAM "[sp, #4]" /* behind the first pair of the row */
#define MP_ROW "[sp, #8]"
#define MP_OUT "[sp, #12]" /* of the row */
#define MP_OUT_CH "[sp, #16]"
#define MP_ZP "[sp, #20]"
#define MP_ROWS_END "[sp, #24]"
#define MP_TILE_BYTES "[sp, #28]"
#define MP_TILES "[sp, #32]" /* left */
#define MP_COUNT "[sp, #36]"
#define MP_SPECIAL "[sp, #44]" /* bits of a row's last word that send it to `special` */
#define MP_JOB "[sp, #48]"
#define MP_OUT_TILE "[sp, #52]"
#define MP_TWICE "#56" /* 8 words: 2 * acc of a row's parts so far */
#define MP_FRAME "#92"

/* A row: 102 cycles, 119 where it is signed, and 13 each pair; 4 each further turn of the chain of 32 pairs, which is
 * entered so that the last turn is a whole one. */
MP_NAKED void mp_gap_tiles(MP_UNUSED const mp_gap_job *job)
{
    __asm volatile(
        "push    {r4-r11, lr}                 \n"
        "sub     sp, sp, " MP_FRAME "         \n"
        "ldm     r0, {r1-r10}                 \n"
        "stm     sp, {r1-r10}                 \n"
        "add     r5, sp, #48                  \n"
        "str     r0, [r5]                     \n"
        "str     r4, " MP_OUT_TILE "          \n"
        "movw    r0, #0xFF00                  \n" /* flags */
        "cmp     r10, #8                      \n"
        "it      ne                           \n"
        "movne   r0, #-1                      \n"
        "str     r0, " MP_SPECIAL "           \n"
        "1:                                   \n" /* a tile */
        "ldr     r5, " MP_JOB "               \n"
        "ldr     r0, [r5, #4]                 \n"
        "ldr     r5, [r5, #8]                 \n"
        "add     r0, r0, #2                   \n"
        "str     r0, " MP_STREAM "            \n"
        "2:                                   \n" /* a row or a part of one, r5 */
        "str     r5, " MP_ROW "               \n"
        "ldr     r12, [r5]                    \n"
        "ldrh    r2, [r5, #10]                \n"
        "ldr     r5, " MP_STREAM "            \n"
        "ldr     r4, " MP_TILE "              \n"
        "ldrsb   r3, [r5, #-1]                \n"
        "and     r0, r2, #31                  \n"
        "lsr     r2, r2, #5                   \n"
        "add     r4, r4, r2, lsl #4           \n"
        "asr     r1, r12, #31                 \n" /* every sum starts at bias + (bias << 23) */
        "adds    r6, r12, r12, lsl #23        \n"
        "adc     r7, r1, r12, asr #9          \n"
        "mov     r8, r6                       \n"
        "mov     r9, r7                       \n"
        "mov     r10, r6                      \n"
        "mov     r11, r7                      \n"
        "mov     r12, r6                      \n"
        "mov     lr, r7                       \n"
        "mov     r2, r3                       \n" /* an odd number of pairs takes the first value from r2 */
        "tbh     [pc, r0, lsl #1]             \n"
        "3:                                   \n"
        ".irp    n, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, "
        "27, 28, 29, 30, 31                   \n"
        ".hword  (5f - 34 * \\n - 3b) / 2     \n"
        ".endr                                \n"
        "4:                                   \n"
        ".rept   16                           \n" MP_PAIR("r3", "r2") MP_PAIR("r2", "r3") ".endr  \n"
        "5:                                   \n"
        "cmp     r1, #0                       \n" /* the gap behind a row */
        "bne     4b                           \n"
        "str     r5, " MP_STREAM "            \n"
        "ldr     r5, " MP_ROW "               \n"
        "ldr     r4, " MP_OUT "               \n"
        "ldr     r0, " MP_ZP "                \n"
        "ldr     r1, " MP_SPECIAL "           \n"
        "ldr     r3, [r5, #8]                 \n" /* right in its low byte, which is what shifts by r3 take */
        "ldr     r2, [r5, #4]                 \n"
        "tst     r3, r1                       \n"
        "bne     8f                           \n"
        "add     r3, r3, #8                   \n"
        "lsl     r0, r0, r3                   \n"
        "asr     r0, r0, #1                   \n"
        "add     r0, r0, #128                 \n"
        "add     r5, r5, #12                  \n" MP_SPLIT_WIDE("r6", "r7") MP_SPLIT_WIDE("r8", "r9")
        MP_SPLIT_WIDE("r10", "r11") MP_SPLIT_WIDE("r12", "lr")
        "ldr     r1, " MP_OUT_CH "            \n" MP_RELU("r6", "[r4]") MP_RELU("r7", "[r4, r1]")
        "add     r6, r4, #1                   \n"
        "str     r6, " MP_OUT "               \n"
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r8", "[r4]") MP_RELU("r9", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r10", "[r4]") MP_RELU("r11", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_RELU("r12", "[r4]") MP_RELU("lr", "[r4, r1]")
        "7:                                   \n"
        "ldr     r0, " MP_ROWS_END "          \n"
        "cmp     r5, r0                       \n"
        "bne     2b                           \n"
        "ldr     r0, " MP_TILES "             \n"
        "ldr     r1, " MP_TILE "              \n"
        "ldr     r2, " MP_TILE_BYTES "        \n"
        "ldr     r3, " MP_OUT_TILE "          \n"
        "ldr     r4, " MP_OUT_CH "            \n"
        "add     r1, r1, r2                   \n"
        "str     r1, " MP_TILE "              \n"
        "add     r3, r3, r4, lsl #3           \n"
        "str     r3, " MP_OUT_TILE "          \n"
        "str     r3, " MP_OUT "               \n"
        "subs    r0, r0, #1                   \n"
        "str     r0, " MP_TILES "             \n"
        "bne     1b                           \n"
        "add     sp, sp, " MP_FRAME "         \n"
        "pop     {r4-r11, pc}                 \n"
        "8:                                   \n" /* signed rows, and special ones */
        MP_SPLIT("r6", "r7") MP_SPLIT("r8", "r9") MP_SPLIT("r10", "r11") MP_SPLIT("r12", "lr")
        "ldr     r1, " MP_SPECIAL "           \n"
        "bic     r1, r1, #0x800               \n" /* SIGNED */
        "tst     r3, r1                       \n"
        "bne     12f                          \n"
        "6:                                   \n"
        "lsl     r0, r0, r3                   \n"
        "asr     r0, r0, #1                   \n"
        "add     r5, r5, #12                  \n"
        "add     r1, r4, #1                   \n"
        "str     r1, " MP_OUT "               \n" MP_SIGNED("r1", "r6", "[r4]")
        "ldr     r1, " MP_OUT_CH "            \n" MP_SIGNED("r6", "r7", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r8", "[r4]") MP_SIGNED("r6", "r9", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r10", "[r4]") MP_SIGNED("r6", "r11", "[r4, r1]")
        "add     r4, r4, r1, lsl #1           \n" MP_SIGNED("r6", "r12", "[r4]") MP_SIGNED("r6", "lr", "[r4, r1]")
        "b       7b                           \n"
        "12:                                  \n"
        "tst     r3, #0x200                   \n" /* LATER */
        "beq     9f                           \n"
        MP_CARRIED("r6", "0") MP_CARRIED("r7", "4") MP_CARRIED("r8", "8") MP_CARRIED("r9", "12")
        MP_CARRIED("r10", "16") MP_CARRIED("r11", "20") MP_CARRIED("r12", "24") MP_CARRIED("lr", "28")
        "9:                                   \n"
        "add     r1, sp, " MP_TWICE "         \n"
        "tst     r3, #0x100                   \n" /* MORE */
        "beq     10f                          \n"
        "stm     r1, {r6-r12, lr}             \n"
        "add     r5, r5, #12                  \n"
        "b       2b                           \n"
        "10:                                  \n"
        "ldr     r1, " MP_COUNT "             \n"
        "cmp     r1, #8                       \n"
        "bne     11f                          \n"
        "tst     r3, #0x400                   \n" /* PLAIN */
        "beq     6b                           \n"
        "11:                                  \n"
        "add     r2, sp, " MP_TWICE "         \n"
        "stm     r2, {r6-r12, lr}             \n"
        "add     r3, r4, #1                   \n"
        "str     r3, " MP_OUT "               \n"
        "mov     r3, r4                       \n"
        "mov     r1, r5                       \n"
        "ldr     r0, " MP_JOB "               \n"
        "bl      store_slowly                 \n"
        "ldr     r5, " MP_ROW "               \n"
        "add     r5, r5, #12                  \n"
        "b       7b                           \n");
}

#else

/* What the assembler above computes: one tile. */
static void rows_of_tile(const mp_gap_job *job, const int32_t *first, int8_t *out)
{
    const uint8_t *pairs = job->pairs;
    int32_t twice[MP_TILE_POSITIONS];
    for (const mp_row *row = job->rows; row != job->rows_end; row++) {
        const int64_t bias = row->bias + (int64_t)row->bias * (1 << MP_LANE_SHIFT);
        const int32_t *tile = first + row->pairs / 32 * MP_TILE_WORDS;
        int64_t sum[MP_TILE_WORDS] = {bias, bias, bias, bias};
        do {
            tile += pairs[0] * MP_TILE_WORDS;
            for (uint32_t j = 0; 2 * j < job->count; j++)
                sum[j] = mp_smlal(sum[j], tile[j], (int8_t)pairs[1]);
            pairs += 2;
        } while (pairs[0]);
        for (uint32_t j = 0; j < job->count; j++) {
            const int32_t acc = j % 2 ? mp_lane_high(sum[j / 2]) : mp_lane_low(sum[j / 2]);
            twice[j] = (row->flags & MP_ROW_LATER ? twice[j] : 0) + 2 * acc;
        }
        if (!(row->flags & MP_ROW_MORE)) store(job, row, twice, out++);
    }
}

void mp_gap_tiles(const mp_gap_job *job)
{
    int8_t *out = job->out;
    for (uint32_t i = 0; i < job->tiles; i++, out += job->out_ch * MP_TILE_POSITIONS)
        rows_of_tile(job, job->tile + i * (job->tile_bytes / sizeof(int32_t)), out);
}

#endif
