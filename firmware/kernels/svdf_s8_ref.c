/* SVDF, int8 with an int16 state. Reference: the other variants equal it bit for bit.
 *
 *   feature[f] = clamp16(requant(sum_i in[i] * features[f][i] + feature_bias[f], feature_mult, feature_shift))
 *   state[f]   = the last `memory` features of filter f, the newest behind; it moves by one in each call
 *   out[u]     = clamp(requant(bias[u] + sum_f,m state[f][m] * times[f][m], mult, shift) + out_zp), f of unit u
 *
 * Sums over time wrap, as the reference's do. in: (inputs); out: (filters / rank), apart from in; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int16_t feature(const mp_svdf_s8 *op, uint32_t filter, const int8_t *in)
{
    const int8_t *w = op->features + filter * op->inputs;
    int32_t sum = op->feature_bias[filter];
    for (uint32_t i = 0; i < op->inputs; i++)
        sum += in[i] * w[i];
    return (int16_t)mp_clamp(mp_requant(sum, op->feature_mult, op->feature_shift), INT16_MIN, INT16_MAX);
}

void mp_svdf_s8_ref(const mp_svdf_s8 *op, const int8_t *in, int16_t *state, int8_t *out)
{
    const int16_t *time = op->times;
    for (uint32_t filter = 0, unit = 0; filter < op->filters; unit++) {
        uint32_t sum = op->bias ? (uint32_t)op->bias[unit] : 0;
        for (uint32_t r = 0; r < op->rank; r++, filter++, state += op->memory, time += op->memory) {
            state[op->memory - 1] = feature(op, filter, in);
            for (uint32_t m = 0; m < op->memory; m++)
                sum += (uint32_t)(state[m] * time[m]);
            for (uint32_t m = 1; m < op->memory; m++)
                state[m - 1] = state[m];
            state[op->memory - 1] = 0;
        }
        const int32_t value = mp_requant((int32_t)sum, op->mult, op->shift) + op->out_zp;
        out[unit] = (int8_t)mp_clamp(value, INT8_MIN, INT8_MAX);
    }
}
