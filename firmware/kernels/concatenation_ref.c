/* Tensors side by side, as bytes.
 *
 *   out[row] = widths[0] bytes of in[0][row], then widths[1] bytes of in[1][row], ...
 *
 * in: (rows, widths[i]) each; out: (rows, sum of widths); workspace: none. What lies in its place already is not copied. */
#include "mcuprune_nn.h"

#include <string.h>

void mp_concatenation_ref(const mp_concatenation *op, const void *const *in, void *out)
{
    uint8_t *to = out;
    for (size_t row = 0; row < op->rows; row++) {
        for (uint32_t part = 0; part < op->parts; part++) {
            const size_t width = op->widths[part];
            const uint8_t *const from = (const uint8_t *)in[part] + row * width;
            if (from != to) memcpy(to, from, width);
            to += width;
        }
    }
}
