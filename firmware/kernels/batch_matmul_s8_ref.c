/* Products of matrices, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[r][c] = sum_k (in1[r][k] - in1_zp) * (in2[k][c] - in2_zp)
 *   out[r][c] = clamp(requant(acc[r][c], mult, shift) + out_zp, -128, 127)
 *
 * for each of batch[0] * batch[1] * batch[2] pairs of matrices. in1, in2: any order, seen through their strides; out:
 * (batch, rows, cols), apart from both; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int32_t dot(const mp_batch_matmul_s8 *op, const int8_t *a, const int8_t *b)
{
    int32_t sum = 0;
    for (uint32_t k = op->depth; k > 0; k--) {
        sum += (*a - op->in1_zp) * (*b - op->in2_zp);
        a += op->depth_stride1;
        b += op->depth_stride2;
    }
    return sum;
}

static int8_t *product(const mp_batch_matmul_s8 *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++) {
        for (uint32_t c = 0; c < op->cols; c++) {
            const int32_t acc = dot(op, a + r * op->row_stride, b + c * op->col_stride);
            *out++ = (int8_t)mp_clamp(mp_requant(acc, op->mult, op->shift) + op->out_zp, INT8_MIN, INT8_MAX);
        }
    }
    return out;
}

void mp_batch_matmul_s8_ref(const mp_batch_matmul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t *step1 = op->batch_stride1, *step2 = op->batch_stride2;
    for (uint32_t i = 0; i < op->batch[0]; i++) {
        for (uint32_t j = 0; j < op->batch[1]; j++) {
            for (uint32_t k = 0; k < op->batch[2]; k++)
                out = product(op, in1 + i * step1[0] + j * step1[1] + k * step1[2],
                              in2 + i * step2[0] + j * step2[1] + k * step2[2], out);
        }
    }
}
