/* 2-D convolution over Rice-coded sparse rows, int8, for cores with the DSP extension. Equals conv2d_s8_rice_ref.c.
 *
 * As many tiles of 8 positions as the workspace holds are packed into lane words; then each row is decoded once to pairs
 * {gap, value} (lanes_gap.h) and runs over all of them. in, out: as in the reference; workspace, words:
 *
 *   tiles * 4 * cols of lanes, ceil(cols / 2) + 2 of a row's pairs (2 bytes each; 8 bytes are read ahead), ceil(cols / 2)
 *   of two columns. tiles: min(8, (positions + 5) / 8, max(1, 36 KiB / (16 * cols))), as one or two positions need none
 *
 * All positions of a round are packed before outputs are written: out may be in where the layer is pointwise and
 * out_ch <= in_ch. */
#include "clamp_s8.h"
#include "conv_lanes.h"
#include "gap_walk.h"
#include "mp_simd.h"

enum { MAX_TILES = 8, MAX_TILE_BYTES = 36 * 1024 };

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static uint32_t tiles_of(const mp_conv_shape *shape)
{
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w;
    const uint32_t fit = MAX_TILE_BYTES / (16 * mp_conv_cols(shape));
    return least(least(MAX_TILES, (positions + 5) / 8), fit ? fit : 1);
}

size_t mp_conv2d_s8_rice_dsp_workspace(const mp_conv_shape *shape)
{
    const size_t cols = mp_conv_cols(shape);
    return sizeof(int32_t) * (tiles_of(shape) * MP_TILE_WORDS * cols + (cols + 1) / 2 * 2 + 2);
}

/* Where the decoder stands: bit `at` of `bits`, highest bit of a byte first. */
typedef struct {
    const uint8_t *bits;
    const int8_t *nz;
    uint32_t at, k;
} reader;

/* One code of any length, as one or more pairs. Returns their end. */
static uint8_t *decode_far(reader *r, uint8_t *pairs)
{
    uint32_t gap = 1;
    for (; !(r->bits[r->at / 8] << r->at % 8 & 0x80); r->at++)
        gap += 1u << r->k;
    r->at++;
    gap += mp_load_be32(r->bits + r->at / 8) << r->at % 8 >> 1 >> (31 - r->k);
    r->at += r->k;
    for (; gap > 255; gap -= 255)
        *pairs++ = 255, *pairs++ = 0;
    *pairs++ = (uint8_t)gap, *pairs++ = (uint8_t)*r->nz++;
    return pairs;
}

/* Codes as pairs, one each, until `end` or before a code that does not fit in the 25 to 32 bits of a word. Returns the
 * pairs' end. Precondition: k <= 3, so that a gap is below 256. */
#if MP_DSP

_Static_assert(sizeof(reader) == 16, "the offsets below");

/* 17 cycles a code, and 22 for each word: r8 bits, the next ones highest, zeros behind the last of r7; r9 zeros before
 * the 1; r10 length, then 1 and the low bits, then the pair. r0 reader; r1 pairs; r2 end; r3 nonzeros; r4 k + 1;
 * r5 31 - k; r6 2^k; lr 2^k - 1; r11 bits; r12 place behind the word. */
MP_NAKED static uint8_t *decode_near(MP_UNUSED reader *r, MP_UNUSED uint8_t *pairs, MP_UNUSED const uint8_t *end)
{
    __asm volatile("push    {r4-r11, lr}        \n"
                   "ldr     r11, [r0]           \n"
                   "ldr     r3, [r0, #4]        \n"
                   "ldr     r12, [r0, #8]       \n"
                   "ldr     r4, [r0, #12]       \n"
                   "mov     r6, #1              \n"
                   "mov     r7, #0              \n"
                   "mov     r8, #0              \n"
                   "rsb     r5, r4, #31         \n"
                   "lsl     r6, r6, r4          \n"
                   "add     r4, r4, #1          \n"
                   "sub     lr, r6, #1          \n"
                   "1:                          \n"
                   "clz     r9, r8              \n"
                   "add     r10, r9, r4         \n"
                   "subs    r7, r7, r10         \n"
                   "bmi     4f                  \n"
                   "2:                          \n"
                   "lsl     r8, r8, r9          \n"
                   "lsr     r10, r8, r5         \n"
                   "lsl     r8, r8, r4          \n"
                   "mla     r10, r9, r6, r10    \n" /* gap + 2^k */
                   "ldrb    r9, [r3], #1        \n"
                   "sub     r10, r10, lr        \n"
                   "add     r10, r10, r9, lsl #8 \n"
                   "strh    r10, [r1], #2       \n"
                   "cmp     r1, r2              \n"
                   "bne     1b                  \n"
                   "3:                          \n"
                   "sub     r12, r12, r7        \n"
                   "str     r3, [r0, #4]        \n"
                   "str     r12, [r0, #8]       \n"
                   "mov     r0, r1              \n"
                   "pop     {r4-r11, pc}        \n"
                   "4:                          \n" /* the next word */
                   "add     r7, r7, r10         \n"
                   "sub     r12, r12, r7        \n"
                   "lsr     r10, r12, #3        \n"
                   "and     r7, r12, #7         \n"
                   "ldr     r8, [r11, r10]      \n"
                   "rev     r8, r8              \n"
                   "lsl     r8, r8, r7          \n"
                   "rsb     r7, r7, #32         \n"
                   "add     r12, r12, r7        \n"
                   "clz     r9, r8              \n"
                   "add     r10, r9, r4         \n"
                   "subs    r7, r7, r10         \n"
                   "bpl     2b                  \n"
                   "add     r7, r7, r10         \n"
                   "b       3b                  \n");
}

#else

/* What the assembler above computes. */
static uint8_t *decode_near(reader *r, uint8_t *pairs, const uint8_t *end)
{
    for (; pairs != end; pairs += 2) {
        const uint32_t word = mp_load_be32(r->bits + r->at / 8) << r->at % 8, have = 32 - r->at % 8;
        const uint32_t zeros = mp_clz(word), length = zeros + 1 + r->k;
        if (length > have) break;
        pairs[0] = (uint8_t)((zeros << r->k) + (word << zeros << 1 >> 1 >> (31 - r->k)) + 1);
        pairs[1] = (uint8_t)*r->nz++;
        r->at += length;
    }
    return pairs;
}

#endif

/* The next row as `count` pairs, and one of 0 behind them. Returns mp_row.pairs of a gap-coded row. */
static uint16_t decode_row(reader *r, uint32_t count, uint8_t *pairs)
{
    uint8_t *const first = pairs, *const end = pairs + 2 * count;
    while (pairs != end) {
        if (r->k <= 3) pairs = decode_near(r, pairs, end);
        if (pairs != end) pairs = decode_far(r, pairs);
    }
    pairs[0] = 0;
    if (count == 0) {
        pairs[1] = pairs[2] = 0;
        return 1;
    }
    const uint32_t column = first[0] - 1u; /* the decoder counts from the column before */
    first[0] = 0;
    return (uint16_t)(column * 32 + count % 32);
}

/* What one round runs a row over: whole tiles, a tile of 3 to 7 positions, or one or two columns. */
typedef struct {
    uint32_t tiles, part, single;
    int32_t *lanes, *part_lanes;
    int8_t *columns;
} round_of_tiles;

static void run_row(mp_gap_job *job, const round_of_tiles *round, int8_t *out, uint32_t cols)
{
    job->out = out;
    if (round->tiles) {
        job->tile = round->lanes, job->tiles = round->tiles, job->count = MP_TILE_POSITIONS;
        mp_gap_tiles(job);
        job->out += round->tiles * MP_TILE_POSITIONS * job->out_ch;
    }
    if (round->part) {
        job->tile = round->part_lanes, job->tiles = 1, job->count = round->part;
        mp_gap_tiles(job);
    }
    for (uint32_t i = 0; i < round->single; i++, job->out += job->out_ch)
        mp_gap_position(job, round->columns + i * cols);
}

void mp_conv2d_s8_rice_dsp(const mp_conv2d_s8_rice_lanes *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w, cols = mp_conv_cols(shape);
    const uint32_t most = tiles_of(shape), tile_words = MP_TILE_WORDS * cols;
    int32_t *const lanes = workspace;
    uint8_t *const pairs = (uint8_t *)(lanes + most * tile_words);
    int8_t *const columns = (int8_t *)(pairs + 4 * ((cols + 1) / 2 + 2));
    mp_gap_job job = {.pairs = pairs,
                      .out_ch = shape->out_ch,
                      .twice_zp_1 = 2 * op->table.out_zp + 1,
                      .tile_bytes = sizeof(int32_t) * tile_words};

    for (uint32_t p = 0; p < positions;) {
        const uint32_t left = positions - p;
        round_of_tiles round = {.lanes = lanes, .columns = columns};
        reader r = {op->bits, op->nz, 0, op->k};
        uint32_t done = 0;
        for (; round.tiles < most && left - done >= MP_TILE_POSITIONS; round.tiles++, done += MP_TILE_POSITIONS)
            mp_pack_lanes(shape, in, p + done, MP_TILE_POSITIONS, lanes + round.tiles * tile_words, columns);
        if (left - done <= 2) {
            for (; done < left; round.single++, done++)
                mp_im2col_s8(shape, in, p + done, columns + round.single * cols);
        } else if (round.tiles < most) {
            round.part = left - done, done = left;
            round.part_lanes = lanes + round.tiles * tile_words;
            mp_pack_lanes(shape, in, positions - round.part, round.part, round.part_lanes, columns);
        }
        for (uint32_t o = 0; o < op->table.count; o++) {
            mp_row row = op->table.rows[o];
            row.pairs = decode_row(&r, row.pairs, pairs);
            job.rows = &row, job.rows_end = &row + 1;
            run_row(&job, &round, out + p * shape->out_ch + o, cols);
        }
        p += done;
    }
    mp_clamp_range(out, (size_t)positions * shape->out_ch, op->table.act_min, op->table.act_max);
}
