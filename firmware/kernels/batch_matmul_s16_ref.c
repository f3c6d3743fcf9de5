/* Products of matrices, int16 by int16 or int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[r][c] = sum_k in1[r][k] * in2[k][c]
 *   out[r][c] = clamp(requant(acc[r][c], mult, shift), -32768, 32767), one rounding
 *
 * for each of batch[0] * batch[1] * batch[2] pairs of matrices. in1, in2: any order, seen through their strides; out:
 * (batch, rows, cols), apart from both; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int32_t element(const void *in2, uint32_t bytes, uint32_t at)
{
    return bytes == 1 ? ((const int8_t *)in2)[at] : ((const int16_t *)in2)[at];
}

/* at: the first element of the column in in2. */
static int64_t dot(const mp_batch_matmul_s16 *op, const int16_t *a, const void *in2, uint32_t at)
{
    int64_t sum = 0;
    for (uint32_t k = op->walk.depth; k > 0; k--) {
        sum += *a * element(in2, op->in2_bytes, at);
        a += op->walk.depth_stride1;
        at += op->walk.depth_stride2;
    }
    return sum;
}

static int16_t *product(const mp_batch_matmul_s16 *op, const int16_t *a, const void *in2, uint32_t at, int16_t *out)
{
    const mp_matmul_walk *walk = &op->walk;
    for (uint32_t r = 0; r < walk->rows; r++) {
        for (uint32_t c = 0; c < walk->cols; c++) {
            const int64_t acc = dot(op, a + r * walk->row_stride, in2, at + c * walk->col_stride);
            *out++ = (int16_t)mp_clamp(mp_requant_wide(acc, op->mult, op->shift), INT16_MIN, INT16_MAX);
        }
    }
    return out;
}

void mp_batch_matmul_s16_ref(const mp_batch_matmul_s16 *op, const int16_t *in1, const void *in2, int16_t *out)
{
    const uint32_t *batch = op->walk.batch, *step1 = op->walk.batch_stride1, *step2 = op->walk.batch_stride2;
    for (uint32_t i = 0; i < batch[0]; i++) {
        for (uint32_t j = 0; j < batch[1]; j++) {
            for (uint32_t k = 0; k < batch[2]; k++)
                out = product(op, in1 + i * step1[0] + j * step1[1] + k * step1[2], in2,
                              i * step2[0] + j * step2[1] + k * step2[2], out);
        }
    }
}
