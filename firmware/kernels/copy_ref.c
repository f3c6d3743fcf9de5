/* Strided copy of bytes: slices, transpositions, repetitions.
 *
 *   out[i][j][k][l][m][n] = `run` bytes at in + start + i * strides[0] + ... + n * strides[5]
 *
 * in: any layout of strides; out: `dims`, contiguous, apart from in; workspace: none. */
#include "mcuprune_nn.h"

#include <string.h>

enum { LAST = 5 };

/* The innermost loop. */
static void line(const mp_copy *op, const uint8_t *from, uint8_t *to)
{
    const int32_t stride = op->strides[LAST];
    if (op->run == 1) {
        for (uint32_t n = op->dims[LAST]; n > 0; n--, from += stride)
            *to++ = *from;
        return;
    }
    for (uint32_t n = op->dims[LAST]; n > 0; n--, from += stride, to += op->run)
        memcpy(to, from, op->run);
}

void mp_copy_ref(const mp_copy *op, const void *in, void *out)
{
    const uint32_t width = op->dims[LAST] * op->run;
    const uint8_t *const first = (const uint8_t *)in + op->start;
    uint32_t place[LAST] = {0};
    ptrdiff_t offset = 0;
    uint8_t *to = out;
    for (;;) {
        line(op, first + offset, to);
        to += width;
        int d = LAST - 1;
        while (d >= 0 && place[d] + 1 == op->dims[d]) {
            offset -= (ptrdiff_t)place[d] * op->strides[d];
            place[d--] = 0;
        }
        if (d < 0) return;
        place[d]++;
        offset += op->strides[d];
    }
}
