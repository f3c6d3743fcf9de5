/* Product over some dimensions, int16, zero points 0.
 *
 *   p = first (x - in_zp); p = wide(p * (x - in_zp)) of each further x; out[o] = clamp(wide(p) + out_zp)
 *
 * over the elements x that o is made of, wide(p) = (p * mult + half) >> (15 - shift) cut to 32 bits. in: any shape, seen
 * through `walk`; out: its dimensions that stay, apart from in; workspace: none. Source: QuantizedReduceProd in TensorFlow
 * Lite, reference/reduce.h. */
#include "mp_numerics.h"
#include "reduce_walk.h"

static int32_t product(const mp_mean_s8 *op, const int16_t *first)
{
    const mp_reduce_walk *walk = &op->walk;
    const uint32_t rows = mp_walk_rows(walk), stride = walk->reduced_stride[3];
    int32_t total = *first - op->in_zp;
    uint32_t n = 1; /* the first element is there */
    for (uint32_t row = 0; row < rows; row++, n = 0) {
        const int16_t *x = first + mp_walk_row(walk, row);
        for (; n < walk->reduced[3]; n++)
            total = mp_requant_wide((int64_t)total * (x[n * stride] - op->in_zp), op->mult, op->shift);
    }
    return mp_requant_wide(total, op->mult, op->shift);
}

void mp_reduce_prod_s16_ref(const mp_mean_s8 *op, const int16_t *in, int16_t *out)
{
    const uint32_t outputs = mp_walk_outputs(&op->walk);
    for (uint32_t o = 0; o < outputs; o++) {
        const int64_t stored = (int64_t)product(op, in + mp_walk_first(&op->walk, o)) + op->out_zp;
        out[o] = (int16_t)mp_clamp((int32_t)stored, INT16_MIN, INT16_MAX);
    }
}
