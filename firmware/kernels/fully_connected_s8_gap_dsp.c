/* Fully-connected layer over gap-coded sparse rows, int8, for cores with the DSP extension. Equals
 * fully_connected_s8_gap_ref.c; the pairs: gap_walk.h.
 *
 * in: (batches, cols); out: (batches, rows), apart from in; workspace: none. */
#include "gap_walk.h"
#include "rescale_s8.h"

void mp_fully_connected_s8_gap_dsp(const mp_fully_connected_s8_gap_places *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.rows;

    for (uint32_t b = 0; b < op->shape.batches; b++, in += op->shape.cols, out += rows) {
        const uint8_t *pairs = op->pairs;
        for (uint32_t o = 0; o < rows; o++) {
            int32_t sum = r->bias[o];
            pairs = mp_gap_walk(pairs, op->places[o], in, &sum);
            out[o] = mp_rescale_fc_s8(r, op->shape.single_rounding, o, sum);
        }
    }
}
