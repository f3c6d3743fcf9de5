/* RELU, RELU6 and requantization of int8.
 *
 *   out = clamp(requant(in - in_zp, mult, shift) + out_zp, act_min, act_max)
 *
 * in, out: `size` elements, may be the same; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

void mp_requantize_s8_ref(const mp_requantize_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t x = mp_requant(in[i] - op->in_zp, op->mult, op->shift) + op->out_zp;
        out[i] = (int8_t)mp_clamp(x, op->act_min, op->act_max);
    }
}
