/* Mean over some dimensions, int16.
 *
 *   out[o] = clamp(requant(sum of (x - in_zp), mult, shift) + out_zp, -32768, 32767) over the elements x that o is made of
 *
 * mult and shift hold in_scale / out_scale / count. in: any shape, seen through `walk`; out: its
 * dimensions that stay, apart from in; workspace: none. */
#include "mp_numerics.h"
#include "reduce_walk.h"

static int32_t sum(const mp_mean_s8 *op, const int16_t *first)
{
    const mp_reduce_walk *walk = &op->walk;
    const uint32_t rows = mp_walk_rows(walk), stride = walk->reduced_stride[3];
    int32_t total = 0;
    for (uint32_t row = 0; row < rows; row++) {
        const int16_t *x = first + mp_walk_row(walk, row);
        for (uint32_t n = 0; n < walk->reduced[3]; n++)
            total += x[n * stride] - op->in_zp;
    }
    return total;
}

void mp_mean_s16_ref(const mp_mean_s8 *op, const int16_t *in, int16_t *out)
{
    const uint32_t outputs = mp_walk_outputs(&op->walk);
    for (uint32_t o = 0; o < outputs; o++) {
        const int32_t scaled = mp_requant(sum(op, in + mp_walk_first(&op->walk, o)), op->mult, op->shift);
        out[o] = (int16_t)mp_clamp(scaled + op->out_zp, INT16_MIN, INT16_MAX);
    }
}
