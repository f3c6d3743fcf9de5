/* Mean of stretches, int8. Reference: the other variants equal it bit for bit.
 *
 *   sum[o][i] = sum_r (in[o][r][i] - in_zp)
 *   out[o][i] = clamp(requant(sum[o][i], mult, shift) + out_zp, -128, 127)
 *
 * mult and shift hold in_scale / (out_scale * reduce). in: (outer, reduce, inner); out: (outer, inner), apart from in;
 * workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

void mp_mean_s8_ref(const mp_mean_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t o = 0; o < op->outer; o++, in += op->reduce * op->inner) {
        for (uint32_t i = 0; i < op->inner; i++) {
            const int8_t *x = in + i;
            int32_t sum = 0;
            for (uint32_t r = op->reduce; r > 0; r--, x += op->inner)
                sum += *x - op->in_zp;
            const int32_t mean = mp_requant(sum, op->mult, op->shift) + op->out_zp;
            *out++ = (int8_t)mp_clamp(mean, INT8_MIN, INT8_MAX);
        }
    }
}
