/* 2-D convolution over sparse rows of blocks of 16 columns, int8, for MVE. Equals the dense convolution bit for
 * bit.
 *
 * Eight positions at a time: per block one load of weights, and for each position a load and a VMLADAVA of 16 products.
 * The tile in the workspace holds a group of 16 columns of all eight positions, then the next group, so that a gap
 * leads from block to block by one addition and the positions lie within the reach of a load's offset.
 *
 * Workspace: the sums of 64 rows at eight positions, the tile, and a column where columns are gathered. */
#include "im2col_s8.h"
#include "tile_mve.h"

enum {
    POSITIONS = 8,
    GROUP_BYTES = 16 * POSITIONS, /* of the tile */
    SUMS_BYTES = 4 * MP_TILE_ROWS * POSITIONS,
    FEW = 2 /* so many positions go one by one */
};

/* The next row's blocks. */
typedef struct {
    const int8_t *values;
    const uint8_t *gap;
    const uint16_t *count;
} stream;

#if MP_MVE

#define DOT(instruction, sum, at) \
    "vldrb.8 q1, [r5, #" at "]\n" \
    instruction " " sum ", q0, q1\n"

#define BLOCK(dot)                                                                                    \
    "ldrb r9, [r3], #1\n"                                                                             \
    "vldrb.8 q0, [r1], #16\n"                                                                         \
    "add r5, r5, r9, lsl #7\n"                                                                        \
    DOT(dot, "r0", "0") DOT(dot, "r2", "16") DOT(dot, "r4", "32") DOT(dot, "r6", "48")                \
    DOT(dot, "r8", "64") DOT(dot, "r10", "80") DOT(dot, "r12", "96") DOT(dot, "lr", "112")

/* `rows` rows, not 0: eight sums each; `s` moves on.
 *
 * r0 r2 r4 r6 r8 r10 r12 lr sums (VMLADAVA adds to even registers only), r1 values, r3 gaps, r5 the block's place in
 * the tile, r7 blocks left, r9 r11 work; q0 weights, q1 columns
 * Stack: counts, tile, sums, their end, the stream.
 * Instructions: 21 a block and 10 a row; 17 a row without blocks. */
MP_NAKED static void rows_of_blocks(MP_UNUSED stream *s, MP_UNUSED const int8_t *tile, MP_UNUSED uint32_t rows,
                                    MP_UNUSED int32_t *sums)
{
    __asm("push {r4-r11, lr}\n"
          "sub sp, #20\n"
          "add r2, r3, r2, lsl #5\n"
          "ldr r4, [r0, #8]\n"
          "strd r4, r1, [sp]\n"      /* counts, tile */
          "strd r3, r2, [sp, #8]\n"  /* sums, end */
          "str r0, [sp, #16]\n"
          "ldrd r1, r3, [r0]\n"
          "1: ldrd r11, r5, [sp]\n"
          "ldrh r7, [r11], #2\n"
          "str r11, [sp]\n"
          "cbnz r7, 5f\n"
          "b 4f\n"
          "5:\n"
          BLOCK("vmladav.s8")
          "subs r7, #1\n"
          "beq 3f\n"
          "2:\n"
          BLOCK("vmladava.s8")
          "subs r7, #1\n"
          "bne 2b\n"
          "3: ldrd r11, r9, [sp, #8]\n"
          "stm r11!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
          "str r11, [sp, #8]\n"
          "cmp r11, r9\n"
          "bne 1b\n"
          "ldr r0, [sp, #16]\n"
          "ldr r2, [sp]\n"
          "strd r1, r3, [r0]\n"
          "str r2, [r0, #8]\n"
          "add sp, #20\n"
          "pop {r4-r11, pc}\n"
          "4: mov r0, #0\n"
          "mov r2, #0\n"
          "mov r4, #0\n"
          "mov r6, #0\n"
          "mov r8, #0\n"
          "mov r10, #0\n"
          "mov r12, #0\n"
          "mov lr, #0\n"
          "b 3b\n");
}

#else

static void rows_of_blocks(stream *s, const int8_t *tile, uint32_t rows, int32_t *sums)
{
    for (; rows > 0; rows--, sums += POSITIONS) {
        const int8_t *x = tile;
        for (int p = 0; p < POSITIONS; p++)
            sums[p] = 0;
        for (uint32_t n = *s->count++; n > 0; n--, s->values += 16) {
            const mp_s8x16 w = mp_load_s8x16(s->values);
            x += *s->gap++ * GROUP_BYTES;
            for (int p = 0; p < POSITIONS; p++)
                sums[p] = mp_dot_add_s8x16(sums[p], w, mp_load_s8x16(x + 16 * p));
        }
    }
}

#endif

/* The same at one position of the tile, one sum each. */
static void rows_at_one(stream *s, const int8_t *tile, uint32_t rows, int32_t *sums)
{
    for (; rows > 0; rows--) {
        const int8_t *x = tile;
        int32_t sum = 0;
        for (uint32_t n = *s->count++; n > 0; n--, s->values += 16) {
            x += *s->gap++ * GROUP_BYTES;
            sum = mp_dot_add_s8x16(sum, mp_load_s8x16(s->values), mp_load_s8x16(x));
        }
        *sums++ = sum;
    }
}

/* Groups that there may be. */
static uint32_t most_groups(uint32_t cols)
{
    return (cols + 11) / 12 + 1;
}

size_t mp_conv2d_s8_block1x16_mve_workspace(const mp_conv_shape *shape)
{
    const uint32_t cols = mp_conv_cols(shape), column = mp_conv_is_pointwise(shape) ? 0 : (cols + 15) / 16 * 16;
    return SUMS_BYTES + (size_t)GROUP_BYTES * most_groups(cols) + column;
}

/* A column to its place in the tile; a group may bring along what belongs to the next one. */
static void spread(const mp_column_blocks *weights, const int8_t *column, uint32_t cols, int8_t *to)
{
    const uint16_t *start = weights->starts;
    for (uint32_t g = weights->groups; g > 0; g--, to += GROUP_BYTES) {
        const uint32_t at = *start++;
        mp_store_s8x16(to, at + 16 <= cols ? mp_load_s8x16(column + at) : mp_load_s8x16_part(column + at, cols - at));
    }
}

/* Positions p .. p + POSITIONS - 1; what is not there repeats the last one. */
static void fill_tile(const mp_conv2d_s8_block16 *op, const int8_t *in, uint32_t p, uint32_t count, int8_t *tile)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t cols = mp_conv_cols(shape), all = count <= FEW ? count : POSITIONS;
    int8_t *column = tile + GROUP_BYTES * most_groups(cols);
    const int pointwise = mp_conv_is_pointwise(shape);
    for (uint32_t i = 0; i < all; i++) {
        const uint32_t at = p + (i < count ? i : count - 1);
        if (!pointwise && i < count) mp_column_mve(shape, in, at, column);
        spread(&op->weights, pointwise ? in + at * cols : column, cols, tile + 16 * i);
    }
}

void mp_conv2d_s8_block1x16_mve(const mp_conv2d_s8_block16 *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t rows = shape->out_ch, positions = (uint32_t)shape->out_h * shape->out_w;
    const mp_rounding rounding = mp_rounding_of(&op->rescale, op->only_right);
    int32_t *sums = workspace;
    int8_t *tile = (int8_t *)workspace + SUMS_BYTES;

    for (uint32_t p = 0; p < positions; p += POSITIONS, out += POSITIONS * rows) {
        const uint32_t count = positions - p < POSITIONS ? positions - p : POSITIONS;
        const stream begin = {op->weights.values, op->weights.gap, op->weights.row_blocks};
        fill_tile(op, in, p, count, tile);
        if (count <= FEW) {
            for (uint32_t i = 0; i < count; i++) {
                stream s = begin;
                for (uint32_t row = 0; row < rows; row += MP_TILE_ROWS) {
                    const uint32_t n = rows - row < MP_TILE_ROWS ? rows - row : MP_TILE_ROWS;
                    rows_at_one(&s, tile + 16 * i, n, sums);
                    mp_rescale_row_mve(&op->rescale, row, n, sums, out + i * rows);
                }
            }
            break;
        }
        int8_t *to[POSITIONS];
        for (uint32_t i = 0; i < POSITIONS; i++)
            to[i] = out + (i < count ? i : count - 1) * rows;
        stream s = begin;
        for (uint32_t row = 0; row < rows; row += MP_TILE_ROWS) {
            const uint32_t n = rows - row < MP_TILE_ROWS ? rows - row : MP_TILE_ROWS;
            rows_of_blocks(&s, tile, n, sums);
            mp_rescale_tile_mve(&op->rescale, rounding, row, n, sums, POSITIONS, to);
            mp_rescale_tile_mve(&op->rescale, rounding, row, n, sums + 4, POSITIONS, to + 4);
        }
    }
}
