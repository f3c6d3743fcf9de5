/* Padding with a constant byte: int8, or larger elements whose bytes are all the same.
 *
 *   out[i + before] = in[i]; all other elements are `value`
 *
 * in: in_dims; out: in_dims + before + after, apart from in; workspace: none. */
#include "mcuprune_nn.h"

#include <string.h>

/* Writes count bytes of value; returns the place after them. */
static int8_t *fill(int8_t *out, int8_t value, size_t count)
{
    memset(out, value, count);
    return out + count;
}

void mp_pad_s8_ref(const mp_pad_s8 *op, const void *from, void *to)
{
    const int8_t *in = from;
    int8_t *out = to;
    const uint32_t *n = op->in_dims, *before = op->before, *after = op->after;
    size_t size[4]; /* elements of one output slice of each dimension */
    size[3] = 1;
    for (int d = 3; d > 0; d--)
        size[d - 1] = size[d] * (before[d] + n[d] + after[d]);

    out = fill(out, op->value, before[0] * size[0]);
    for (uint32_t i = 0; i < n[0]; i++) {
        out = fill(out, op->value, before[1] * size[1]);
        for (uint32_t j = 0; j < n[1]; j++) {
            out = fill(out, op->value, before[2] * size[2]);
            for (uint32_t k = 0; k < n[2]; k++, in += n[3]) {
                out = fill(out, op->value, before[3]);
                memcpy(out, in, n[3]);
                out = fill(out + n[3], op->value, after[3]);
            }
            out = fill(out, op->value, after[2] * size[2]);
        }
        out = fill(out, op->value, after[1] * size[1]);
    }
    fill(out, op->value, after[0] * size[0]);
}
