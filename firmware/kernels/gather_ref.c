/* Bytes at indices of each dimension.
 *
 *   out[i][j][k][l] = `run` bytes at in + offset_0[i] + offset_1[j] + offset_2[k] + offset_3[l]
 *
 * in: what the offsets reach; out: `dims`, contiguous, apart from in; workspace: none. */
#include "mcuprune_nn.h"

#include <string.h>

void mp_gather_ref(const mp_gather *op, const void *in, void *out)
{
    const uint32_t *const t0 = op->offsets, *const t1 = t0 + op->dims[0];
    const uint32_t *const t2 = t1 + op->dims[1], *const t3 = t2 + op->dims[2];
    uint8_t *to = out;
    for (uint32_t i = 0; i < op->dims[0]; i++) {
        for (uint32_t j = 0; j < op->dims[1]; j++) {
            for (uint32_t k = 0; k < op->dims[2]; k++) {
                const uint8_t *const from = (const uint8_t *)in + t0[i] + t1[j] + t2[k];
                for (uint32_t l = 0; l < op->dims[3]; l++, to += op->run)
                    memcpy(to, from + t3[l], op->run);
            }
        }
    }
}
