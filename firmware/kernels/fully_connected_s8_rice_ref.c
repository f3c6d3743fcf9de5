/* Fully-connected layer over Rice-coded sparse rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   acc[b][o] = bias[o] + sum_k in[b][i_k] * nz_k,   i_k = gap_0 + ... + gap_k + k along row o
 *   out[b][o] = clamp(requant(acc[b][o], mult[o], shift[o]) + out_zp, act_min, act_max)
 *
 * requant rounds once where shape.single_rounding is set, else twice. in: (batches, cols); out: (batches, rows), apart
 * from in; workspace: none. bias[o] already holds -in_zp * sum(row o). */
#include "rescale_s8.h"
#include "rows_rice.h"

void mp_fully_connected_s8_rice_ref(const mp_fully_connected_s8_rice *op, const int8_t *in, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    const uint32_t rows = op->shape.rows, cols = op->shape.cols;

    for (uint32_t b = 0; b < op->shape.batches; b++, in += cols, out += rows) {
        mp_rice_reader reader = mp_rice_start(&op->weights);
        for (uint32_t o = 0; o < rows; o++) {
            int32_t sum = r->bias[o];
            mp_rice_row(&reader, op->weights.row_nnz[o], in, cols, 1, &sum);
            out[o] = mp_rescale_fc_s8(r, op->shape.single_rounding, o, sum);
        }
    }
}
