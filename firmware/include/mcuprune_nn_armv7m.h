/* mcuprune_nn_armv7m.h: kernels for ARMv7-M and up, Cortex-M3 first: no DSP extension, but SMLAL, SMULL and SSAT.
 * Included by mcuprune_nn.h, behind mcuprune_nn_armv6m.h, which has the layouts.
 *
 * Each equals the reference kernel of its family and encoding bit for bit, and runs on any core: elsewhere as
 * portable C. Of mp_row's flags they know MP_ROW_PLAIN. */
#ifndef MCUPRUNE_NN_ARMV7M_H
#define MCUPRUNE_NN_ARMV7M_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Two positions in a lane word (mp_simd.h), so that one SMLAL makes two products. Precondition, for each row:
 * |bias| + 128 * sum|row| < 2^22. Workspace: 16 bytes for each of kernel_h * kernel_w * in_ch columns, and unless
 * pointwise (1x1, stride 1, no padding) two columns in whole words. out may be in where the layer is pointwise and
 * out_ch <= in_ch. */
void mp_conv2d_s8_dense_armv7m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_dense_armv7m_workspace(const mp_conv_shape *shape);
void mp_conv2d_s8_gap_armv7m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_gap_armv7m_workspace(const mp_conv_shape *shape);

/* Precondition, for each channel: |bias| + 128 * sum|w| < 2^30. Workspace, with the longer side of the
 * output (out_w only where stride_w <= 2) and rows = min(16, that side) rounded up to even: 64 bytes for each of the
 * (rows - 1) * stride + 3 input rows or columns that they see. */
void mp_depthwise_conv2d_s8_dense_armv7m(const mp_depthwise_conv2d_s8_rows *op, const int8_t *in, int8_t *out,
                                         void *workspace);
size_t mp_depthwise_conv2d_s8_dense_armv7m_workspace(const mp_conv_shape *shape);

#ifdef __cplusplus
}
#endif

#endif
