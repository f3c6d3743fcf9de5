/* LEAKY_RELU and ABS, int16: a slope from zero on, another one below.
 *
 *   out = clamp(in >= 0 ? requant(in, mult, shift) : out_sign * requant(in_sign * in, below_mult, below_shift))
 *
 * in, out: `size` elements, may be the same; workspace: none. Source: QuantizeLeakyRelu in TensorFlow Lite,
 * reference/leaky_relu.h; AbsEvalQuantized in kernels/elementwise.cc. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

void mp_slopes_s16_ref(const mp_slopes_s16 *op, const int16_t *in, int16_t *out)
{
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t x = in[i];
        const int32_t scaled = x >= 0 ? mp_requant(x, op->mult, op->shift)
                                      : op->out_sign * mp_requant(op->in_sign * x, op->below_mult, op->below_shift);
        out[i] = (int16_t)mp_clamp(scaled, INT16_MIN, INT16_MAX);
    }
}
