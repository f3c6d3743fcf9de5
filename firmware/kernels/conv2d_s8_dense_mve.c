/* 2-D convolution over dense rows, int8, for MVE. Equals mp_conv2d_s8_dense_ref bit for bit.
 *
 * Two rows by four positions at a time: per 16 columns 6 loads and 8 VMLADAVA of 16 products each. The positions'
 * columns lie in the workspace, each filled up to whole vectors; what fills them meets weights of 0.
 *
 * weights: for each pair of rows and each 16 columns 16 weights of the one row, then of the other; zeros fill the last
 * vector and an odd last pair. Workspace: the sums of 64 rows, then four columns. */
#include "im2col_s8.h"
#include "tile_mve.h"

enum { SUMS_BYTES = 4 * MP_TILE_ROWS * MP_TILE_POSITIONS };

typedef struct {
    const int8_t *column[MP_TILE_POSITIONS];
    uint32_t groups; /* vectors of a column */
} tile;

#if MP_MVE

/* `pairs` pairs of rows: sums of the first row at the four positions, then of the second.
 *
 * r0 r2 r4 r6 sums of the first row, r8 r10 r12 lr of the second (VMLADAVA adds to even registers only)
 * r1 weights, r3 r5 r7 r9 columns, r11 rounds left; q0 q1 weights, q2 q3 columns
 * Stack: the columns and the rounds as a pair begins, the end of the sums, where the next ones go, the entry.
 *
 * The loop is unrolled four times, 56 bytes a vector, and entered so that the last round is a whole one.
 * Instructions: 14 a vector and 2 a round; 23 a pair for its first vector, and to begin and end. */
MP_NAKED static void pairs_of_rows(MP_UNUSED const int8_t *weights, MP_UNUSED const tile *t, MP_UNUSED uint32_t pairs,
                                   MP_UNUSED int32_t *sums)
{
    __asm("push {r4-r11, lr}\n"
          "sub sp, #36\n"
          "add r2, r3, r2, lsl #5\n"
          "strd r2, r3, [sp, #20]\n" /* end, sums */
          "mov r12, r1\n"
          "mov r1, r0\n"
          "ldm r12, {r4-r8}\n"
          "sub r8, #1\n"          /* the first vector stands before the loop */
          "add r9, r8, #3\n"
          "lsr r9, #2\n"          /* rounds */
          "stm sp, {r4-r7, r9}\n"
          "adr r10, 4f\n"         /* no round at all */
          "cmp r8, #0\n"
          "beq 1f\n"
          "adr r10, 3f\n"
          "ands r8, #3\n"
          "it eq\n"
          "moveq r8, #4\n"
          "mov r9, #56\n"
          "mls r10, r8, r9, r10\n"
          "1: orr r10, #1\n"
          "str r10, [sp, #28]\n"
          ".p2align 2\n"
          "2: ldm sp, {r3, r5, r7, r9, r11}\n"
          "vldrb.8 q0, [r1], #16\n"
          "vldrb.8 q1, [r1], #16\n"
          "vldrb.8 q2, [r3], #16\n"
          "vmladav.s8 r0, q0, q2\n"
          "vldrb.8 q3, [r5], #16\n"
          "vmladav.s8 r8, q1, q2\n"
          "vldrb.8 q2, [r7], #16\n"
          "vmladav.s8 r2, q0, q3\n"
          "vmladav.s8 r10, q1, q3\n"
          "vldrb.8 q3, [r9], #16\n"
          "vmladav.s8 r4, q0, q2\n"
          "vmladav.s8 r12, q1, q2\n"
          "vmladav.s8 r6, q0, q3\n"
          "vmladav.s8 lr, q1, q3\n"
          "ldr pc, [sp, #28]\n"
          ".p2align 2\n"
          "5:\n"
          ".rept 4\n"
          "vldrb.8 q0, [r1], #16\n"
          "vldrb.8 q2, [r3], #16\n"
          "vldrb.8 q1, [r1], #16\n"
          "vmladava.s8 r0, q0, q2\n"
          "vldrb.8 q3, [r5], #16\n"
          "vmladava.s8 r8, q1, q2\n"
          "vldrb.8 q2, [r7], #16\n"
          "vmladava.s8 r2, q0, q3\n"
          "vmladava.s8 r10, q1, q3\n"
          "vldrb.8 q3, [r9], #16\n"
          "vmladava.s8 r4, q0, q2\n"
          "vmladava.s8 r12, q1, q2\n"
          "vmladava.s8 r6, q0, q3\n"
          "vmladava.s8 lr, q1, q3\n"
          ".endr\n"
          ".p2align 2\n"
          "3: subs.w r11, r11, #1\n"
          "bne.w 5b\n"
          ".p2align 2\n"
          "4: ldrd r3, r11, [sp, #20]\n"
          "stm r11!, {r0, r2, r4, r6, r8, r10, r12, lr}\n"
          "str r11, [sp, #24]\n"
          "cmp r11, r3\n"
          "bne 2b\n"
          "add sp, #36\n"
          "pop {r4-r11, pc}\n");
}

#else

static void pairs_of_rows(const int8_t *weights, const tile *t, uint32_t pairs, int32_t *sums)
{
    for (; pairs > 0; pairs--, sums += 8) {
        for (int i = 0; i < 8; i++)
            sums[i] = 0;
        for (uint32_t g = 0; g < t->groups; g++, weights += 32) {
            const mp_s8x16 w0 = mp_load_s8x16(weights), w1 = mp_load_s8x16(weights + 16);
            for (int p = 0; p < 4; p++) {
                const mp_s8x16 x = mp_load_s8x16(t->column[p] + 16 * g);
                sums[p] = mp_dot_add_s8x16(sums[p], w0, x);
                sums[4 + p] = mp_dot_add_s8x16(sums[4 + p], w1, x);
            }
        }
    }
}

#endif

/* The same for one position. */
static void pairs_at_one(const int8_t *weights, const tile *t, uint32_t pairs, int32_t *sums)
{
    for (; pairs > 0; pairs--, sums += 2) {
        const int8_t *x = t->column[0];
        int32_t s0 = 0, s1 = 0;
        for (uint32_t g = t->groups; g > 0; g--, weights += 32, x += 16) {
            const mp_s8x16 v = mp_load_s8x16(x);
            s0 = mp_dot_add_s8x16(s0, mp_load_s8x16(weights), v);
            s1 = mp_dot_add_s8x16(s1, mp_load_s8x16(weights + 16), v);
        }
        sums[0] = s0, sums[1] = s1;
    }
}

static uint32_t groups_of(const mp_conv_shape *shape)
{
    return (mp_conv_cols(shape) + 15) / 16;
}

size_t mp_conv2d_s8_dense_mve_workspace(const mp_conv_shape *shape)
{
    return SUMS_BYTES + (size_t)16 * MP_TILE_POSITIONS * groups_of(shape);
}

void mp_conv2d_s8_dense_mve(const mp_conv2d_s8_dense16 *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t rows = shape->out_ch, cols = mp_conv_cols(shape), groups = groups_of(shape);
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w;
    const int pointwise = mp_conv_is_pointwise(shape);
    const mp_rounding rounding = mp_rounding_of(&op->rescale, op->only_right);
    int32_t *sums = workspace;
    int8_t *columns = (int8_t *)workspace + SUMS_BYTES;

    for (uint32_t p = 0; p < positions; p += MP_TILE_POSITIONS) {
        const uint32_t count = positions - p < MP_TILE_POSITIONS ? positions - p : MP_TILE_POSITIONS;
        int8_t *to[MP_TILE_POSITIONS];
        tile t = {.groups = groups};
        for (uint32_t i = 0; i < MP_TILE_POSITIONS; i++) { /* a short last tile repeats its last position */
            const uint32_t at = i < count ? i : count - 1;
            int8_t *column = columns + 16 * groups * at;
            t.column[i] = column;
            to[i] = out + (p + at) * rows;
            if (i > at) continue;
            if (pointwise) {
                mp_copy_mve(column, in + (p + at) * cols, cols);
            } else {
                mp_column_mve(shape, in, p + at, column);
            }
        }
        const int8_t *weights = op->weights.weights;
        for (uint32_t row = 0; row < rows; row += MP_TILE_ROWS) {
            const uint32_t n = rows - row < MP_TILE_ROWS ? rows - row : MP_TILE_ROWS, pairs = (n + 1) / 2;
            if (count == 1) {
                pairs_at_one(weights, &t, pairs, sums);
                mp_rescale_row_mve(&op->rescale, row, n, sums, to[0]);
            } else {
                pairs_of_rows(weights, &t, pairs, sums);
                mp_rescale_tile_mve(&op->rescale, rounding, row, n, sums, MP_TILE_POSITIONS, to);
            }
            weights += 32 * groups * pairs;
        }
    }
}
