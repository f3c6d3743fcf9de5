/* Products of matrices, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[r][c] = bias[c] + sum_k (in1[r][k] - in1_zp) * (in2[k][c] - in2_zp)
 *   out[r][c] = clamp(requant(acc[r][c], mult, shift) + out_zp, act_min, act_max)
 *
 * for each of batch[0] * batch[1] * batch[2] pairs of matrices; requant rounds once where single_rounding is set,
 * else twice. in1, in2: any order, seen through their strides; out: (batch, rows, cols), apart from both; workspace:
 * none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int32_t dot(const mp_batch_matmul_s8 *op, const int8_t *a, const int8_t *b, int32_t sum)
{
    for (uint32_t k = op->walk.depth; k > 0; k--) {
        sum += (*a - op->in1_zp) * (*b - op->in2_zp);
        a += op->walk.depth_stride1;
        b += op->walk.depth_stride2;
    }
    return sum;
}

static int8_t *product(const mp_batch_matmul_s8 *op, const int8_t *a, const int8_t *b, int8_t *out)
{
    const mp_matmul_walk *walk = &op->walk;
    for (uint32_t r = 0; r < walk->rows; r++) {
        for (uint32_t c = 0; c < walk->cols; c++) {
            const int32_t bias = op->bias ? op->bias[c] : 0;
            const int32_t acc = dot(op, a + r * walk->row_stride, b + c * walk->col_stride, bias);
            const int32_t value = op->single_rounding ? mp_requant_single(acc, op->mult, op->shift)
                                                      : mp_requant(acc, op->mult, op->shift);
            *out++ = (int8_t)mp_clamp(value + op->out_zp, op->act_min, op->act_max);
        }
    }
    return out;
}

void mp_batch_matmul_s8_ref(const mp_batch_matmul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out)
{
    const uint32_t *batch = op->walk.batch, *step1 = op->walk.batch_stride1, *step2 = op->walk.batch_stride2;
    for (uint32_t i = 0; i < batch[0]; i++) {
        for (uint32_t j = 0; j < batch[1]; j++) {
            for (uint32_t k = 0; k < batch[2]; k++)
                out = product(op, in1 + i * step1[0] + j * step1[1] + k * step1[2],
                              in2 + i * step2[0] + j * step2[1] + k * step2[2], out);
        }
    }
}
