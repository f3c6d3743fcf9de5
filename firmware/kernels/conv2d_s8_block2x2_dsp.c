/* TODO */
#include "pairs_dsp.h"

size_t mp_conv2d_s8_block2x2_dsp_workspace(const mp_conv_shape *shape) { return mp_pair_workspace(MP_NEXT, shape); }

void mp_conv2d_s8_block2x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace)
{
    mp_pair_convolve(MP_NEXT, op, in, out, workspace);
}
