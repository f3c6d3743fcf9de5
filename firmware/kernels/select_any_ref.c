/* x where the condition holds, else y, with broadcast; elements of any size.
 *
 * out: `dims`, contiguous; condition, x and y as strides say; workspace: none. Source: BroadcastSelect5DSlow in TensorFlow
 * Lite, reference/select.h. */
#include <string.h>

#include "broadcast_walk.h"
#include "mcuprune_nn.h"

void mp_select_any_ref(const mp_select_any *op, const uint8_t *condition, const void *x, const void *y, void *out)
{
    const size_t bytes = op->bytes;
    uint8_t *to = out;
    mp_walk first = {{0}, 0, 0}, second = {{0}, 0, 0}; /* condition and x, condition and y */
    do {
        uint32_t c = first.in1, i = first.in2, j = second.in2;
        for (uint32_t left = op->dims[3]; left > 0; left--, to += bytes) {
            const uint8_t *from = condition[c] ? (const uint8_t *)x + i * bytes : (const uint8_t *)y + j * bytes;
            memcpy(to, from, bytes);
            c += op->stride1[3];
            i += op->stride2[3];
            j += op->stride3[3];
        }
        (void)mp_next_row(&second, op->dims, op->stride1, op->stride3);
    } while (mp_next_row(&first, op->dims, op->stride1, op->stride2));
}
