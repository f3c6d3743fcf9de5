/* 2-D convolution over rows of which each two share at most two of four columns, int8, for cores with the DSP
 * extension. Equals conv2d_s8_dense_ref.c.
 *
 * The tile holds all six pairs of each four columns, MP_SIX; one of them is listed for each two rows: format,
 * arithmetic and cycles in pairs_dsp.[ch]. cols is a multiple of 4. in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h,
 * out_w, out_ch), apart from in, or in itself where the convolution is pointwise and out_ch <= in_ch: four positions
 * are read before they are written.
 *
 * Workspace: a tile of 96 bytes for four columns, an im2col column, and the outputs of four positions where two or three
 * are left:
 *   24 * cols + (pointwise ? 0 : cols) + (out_h * out_w % 4 > 1 ? 4 * out_ch : 0) bytes */
#include "pairs_dsp.h"

size_t mp_conv2d_s8_nm2x4x2_dsp_workspace(const mp_conv_shape *shape) { return mp_pair_workspace(MP_SIX, shape); }

static uint32_t *pack(const int8_t *x, uint32_t bytes, uint32_t rows, uint32_t stride, const uint16_t *runs,
                      uint32_t *tile)
{
    return mp_tile_pack(MP_SIX, MP_PAIR_POSITIONS, x, bytes, rows, stride, runs, tile);
}

void mp_conv2d_s8_nm2x4x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace)
{
    mp_pair_convolve(MP_SIX, op, in, out, workspace, pack);
}
