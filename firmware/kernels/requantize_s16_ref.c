/* RELU and RELU6 of int16, zero points 0.
 *
 *   out = clamp(requant(in, mult, shift), act_min, act_max)
 *
 * in, out: `size` elements, may be the same; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

void mp_requantize_s16_ref(const mp_requantize_s8 *op, const int16_t *in, int16_t *out)
{
    for (uint32_t i = 0; i < op->size; i++)
        out[i] = (int16_t)mp_clamp(mp_requant(in[i], op->mult, op->shift), op->act_min, op->act_max);
}
