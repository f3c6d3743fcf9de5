/* Fully-connected layer over dense rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[b][o] = bias[o] + sum_k in[b][k] * weights[o][k]
 *   out[b][o] = clamp(requant(acc[b][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * requant rounds once where shape.single_rounding is set, else twice. in: (batches, cols); out: (batches, rows), apart
 * from in; weights: (rows, cols); workspace: none. bias[o] already holds -in_zp * sum(row o).
 *
 * Four rows at a time: five loads feed four products. */
#include "rescale_s8.h"

/* sum[i] += row i * x. */
static void dot_4x1(const int8_t *const *row, const int8_t *x, uint32_t cols, int32_t *sum)
{
    const int8_t *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
    int32_t s0 = sum[0], s1 = sum[1], s2 = sum[2], s3 = sum[3];
    for (uint32_t n = cols / 4; n > 0; n--) {
        for (int i = 0; i < 4; i++) {
            const int32_t v = *x++;
            s0 += *r0++ * v;
            s1 += *r1++ * v;
            s2 += *r2++ * v;
            s3 += *r3++ * v;
        }
    }
    for (uint32_t n = cols % 4; n > 0; n--) {
        const int32_t v = *x++;
        s0 += *r0++ * v;
        s1 += *r1++ * v;
        s2 += *r2++ * v;
        s3 += *r3++ * v;
    }
    sum[0] = s0, sum[1] = s1, sum[2] = s2, sum[3] = s3;
}

void mp_fully_connected_s8_dense_ref(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.rows, cols = op->shape.cols;

    for (uint32_t b = 0; b < op->shape.batches; b++, in += cols, out += rows) {
        for (uint32_t o = 0; o < rows; o += 4) {
            const uint32_t count = rows - o < 4 ? rows - o : 4; /* a short last group repeats its last row */
            const int8_t *row[4];
            int32_t sum[4];
            for (uint32_t i = 0; i < 4; i++) {
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
