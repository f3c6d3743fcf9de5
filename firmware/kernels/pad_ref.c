/* Padding with a constant, elements of any size.
 *
 *   out[i + before] = in[i]; all other elements are the `period` bytes of `value`
 *
 * in: in_dims; out: in_dims + before + after, apart from in; workspace: none. */
#include "mcuprune_nn.h"

#include <string.h>

/* Writes count bytes, a multiple of the period; returns the place after them. */
static uint8_t *fill(const mp_pad *op, uint8_t *out, size_t count)
{
    if (op->period == 1) {
        memset(out, op->value[0], count);
    } else {
        for (size_t i = 0; i < count; i += op->period)
            memcpy(out + i, op->value, op->period);
    }
    return out + count;
}

void mp_pad_ref(const mp_pad *op, const void *from, void *to)
{
    const uint8_t *in = from;
    uint8_t *out = to;
    const uint32_t *n = op->in_dims, *before = op->before, *after = op->after;
    size_t size[4]; /* elements of one output slice of each dimension */
    size[3] = 1;
    for (int d = 3; d > 0; d--)
        size[d - 1] = size[d] * (before[d] + n[d] + after[d]);

    out = fill(op, out, before[0] * size[0]);
    for (uint32_t i = 0; i < n[0]; i++) {
        out = fill(op, out, before[1] * size[1]);
        for (uint32_t j = 0; j < n[1]; j++) {
            out = fill(op, out, before[2] * size[2]);
            for (uint32_t k = 0; k < n[2]; k++, in += n[3]) {
                out = fill(op, out, before[3]);
                memcpy(out, in, n[3]);
                out = fill(op, out + n[3], after[3]);
            }
            out = fill(op, out, after[2] * size[2]);
        }
        out = fill(op, out, after[1] * size[1]);
    }
    fill(op, out, after[0] * size[0]);
}
