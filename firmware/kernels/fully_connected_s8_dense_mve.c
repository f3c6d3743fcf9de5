/* Fully-connected layer over dense rows, int8, for MVE. Equals mp_fully_connected_s8_dense_ref bit for bit.
 *
 * Four rows at a time: per 16 columns 5 loads and 4 VMLADAVA of 16 products each. Workspace: none. */
#include "mp_mve.h"
#include "rescale_s8.h"

enum { ROWS = 4 };

/* sum[i] += row i * x. */
static void dot_4x1(const int8_t *const *row, const int8_t *x, uint32_t cols, int32_t *sum)
{
    const int8_t *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
    int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    for (uint32_t n = cols / 16; n > 0; n--, x += 16, r0 += 16, r1 += 16, r2 += 16, r3 += 16) {
        const mp_s8x16 v = mp_load_s8x16(x);
        s0 = mp_dot_add_s8x16(s0, mp_load_s8x16(r0), v);
        s1 = mp_dot_add_s8x16(s1, mp_load_s8x16(r1), v);
        s2 = mp_dot_add_s8x16(s2, mp_load_s8x16(r2), v);
        s3 = mp_dot_add_s8x16(s3, mp_load_s8x16(r3), v);
    }
    const uint32_t left = cols % 16;
    if (left > 0) {
        const mp_s8x16 v = mp_load_s8x16_part(x, left);
        s0 = mp_dot_add_s8x16(s0, mp_load_s8x16_part(r0, left), v);
        s1 = mp_dot_add_s8x16(s1, mp_load_s8x16_part(r1, left), v);
        s2 = mp_dot_add_s8x16(s2, mp_load_s8x16_part(r2, left), v);
        s3 = mp_dot_add_s8x16(s3, mp_load_s8x16_part(r3, left), v);
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

void mp_fully_connected_s8_dense_mve(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.rows, cols = op->shape.cols;

    for (uint32_t b = 0; b < op->shape.batches; b++, in += cols, out += rows) {
        for (uint32_t o = 0; o < rows; o += ROWS) {
            const uint32_t count = rows - o < ROWS ? rows - o : ROWS; /* a short last group repeats its last row */
            const int8_t *row[ROWS];
            int32_t sum[ROWS];
            for (uint32_t i = 0; i < ROWS; i++) {
                const uint32_t at = o + (i < count ? i : count - 1);
                row[i] = op->weights.weights + at * cols;
                sum[i] = r->bias[at];
            }
            dot_4x1(row, in, cols, sum);
            for (uint32_t i = 0; i < count; i++)
                out[o + i] = mp_rescale_fc_s8(r, op->shape.single_rounding, o + i, sum[i]);
        }
    }
}
