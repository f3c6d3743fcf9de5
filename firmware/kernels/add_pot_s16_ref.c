/* Elementwise sum or difference of int16 with broadcast, scales powers of two.
 *
 *   out = clamp(rdbp(in_1, right1) + sign2 * rdbp(in_2, right2), act_min, act_max)
 *
 * out: `dims`, contiguous; in_1 and in_2 as strides say; workspace: none. out may be an input that is not broadcast.
 * Source: Add of int16 in TensorFlow Lite, reference/add.h; BroadcastSub16POTSlow in reference/sub.h. */
#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int32_t add_shifted(const mp_add_pot_s16 *op, int32_t x1, int32_t x2)
{
    const int32_t a1 = mp_rounding_divide_by_pot(x1, op->right1), a2 = mp_rounding_divide_by_pot(x2, op->right2);
    return mp_clamp(a1 + op->sign2 * a2, op->act_min, op->act_max);
}

void mp_add_pot_s16_ref(const mp_add_pot_s16 *op, const int16_t *in1, const int16_t *in2, int16_t *out)
{
    MP_EACH_PAIR(op, int16_t, in1, in2, int16_t, out, add_shifted);
}
