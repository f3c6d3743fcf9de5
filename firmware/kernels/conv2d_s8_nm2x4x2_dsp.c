/* TODO */
#include "pairs_dsp.h"

size_t mp_conv2d_s8_nm2x4x2_dsp_workspace(const mp_conv_shape *shape) { return mp_pair_workspace(MP_SIX, shape); }

void mp_conv2d_s8_nm2x4x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace)
{
    mp_pair_convolve(MP_SIX, op, in, out, workspace);
}
