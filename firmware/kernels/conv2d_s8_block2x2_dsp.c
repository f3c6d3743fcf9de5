/* 2-D convolution over blocks of 2x2, int8, for cores with the DSP extension. Equals conv2d_s8_block_ref.c.
 *
 * Two rows by two neighbouring columns are listed where they hold a nonzero: format, arithmetic and cycles in
 * pairs_dsp.[ch], pairs as of MP_NEXT. in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch), apart from in,
 * or in itself where the convolution is pointwise and out_ch <= in_ch: four positions are read before they are
 * written.
 *
 * Workspace: a tile of 16 bytes a pair, an im2col column, and four positions' outputs where two or three are left:
 *   16 * ceil(cols / 2) + (pointwise ? 512 : ceil(cols / 4) * 4) + (out_h * out_w % 4 > 1 ? 4 * out_ch : 0) bytes */
#include "pairs_dsp.h"

size_t mp_conv2d_s8_block2x2_dsp_workspace(const mp_conv_shape *shape) { return mp_pair_workspace(MP_NEXT, shape); }

static uint32_t *pack(const int8_t *x, uint32_t bytes, uint32_t rows, uint32_t stride, const uint16_t *runs,
                      uint32_t *tile)
{
    return mp_tile_pack(MP_NEXT, MP_PAIR_POSITIONS, x, bytes, rows, stride, runs, tile);
}

void mp_conv2d_s8_block2x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace)
{
    mp_pair_convolve(MP_NEXT, op, in, out, workspace, pack);
}
