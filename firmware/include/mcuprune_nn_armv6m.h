/* mcuprune_nn_armv6m.h: kernels for ARMv6-M, Cortex-M0 and M0+: 32-bit products, eight low registers, no unaligned
 * access. Included by mcuprune_nn.h.
 *
 * Each equals the reference kernel of its family and encoding bit for bit, and runs on any core: elsewhere as
 * portable C. mcuprune/kernels/tile8.py and depthwise3x3.py lay out weights and parameters. Of mp_row's flags they
 * know MP_ROW_PLAIN. */
#ifndef MCUPRUNE_NN_ARMV6M_H
#define MCUPRUNE_NN_ARMV6M_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Layouts, shared with mcuprune_nn_armv7m.h ---- */

/* Convolution that walks a row once for 8 positions. */
typedef struct {
    mp_conv_shape shape;
    int32_t out_zp, act_min, act_max;
    const mp_row *rows;    /* one per output channel; pairs: entries of the stream */
    const uint8_t *stream; /* dense: int8 weights, row by row. gap: pairs {columns skipped behind the entry before, int8
                              weight}; more than 255 are bridged by pairs {255, 0}, each of which stands on a column */
} mp_conv2d_s8_tile8;

/* Depthwise convolution 3x3, no dilation, stride_h 1 or 2, stride_w up to 13, out_ch = in_ch >= 4. */
typedef struct {
    mp_conv_shape shape;
    int32_t out_zp, act_min, act_max;
    const mp_row *rows;    /* one per channel; pairs is not used */
    const int8_t *weights; /* (3, 3, out_ch) */
} mp_depthwise_conv2d_s8_rows;

/* ---- Kernels ---- */

/* Precondition, for each row: |bias| + 128 * sum|row| < 2^28. Workspace: 32 bytes for each of kernel_h * kernel_w *
 * in_ch columns, and unless pointwise (1x1, stride 1, no padding) two columns in whole words. out may be in where the
 * layer is pointwise and out_ch <= in_ch. */
void mp_conv2d_s8_dense_armv6m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_dense_armv6m_workspace(const mp_conv_shape *shape);
void mp_conv2d_s8_gap_armv6m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_gap_armv6m_workspace(const mp_conv_shape *shape);

/* Precondition, for each channel: |bias| + 128 * sum|w| < 2^28. Workspace, with the longer side of the
 * output (out_w only where stride_w <= 2) and rows = min(16, that side) rounded up to even: 64 bytes for each of the
 * (rows - 1) * stride + 3 input rows or columns that they see. */
void mp_depthwise_conv2d_s8_dense_armv6m(const mp_depthwise_conv2d_s8_rows *op, const int8_t *in, int8_t *out,
                                         void *workspace);
size_t mp_depthwise_conv2d_s8_dense_armv6m_workspace(const mp_conv_shape *shape);

/* Four rows share the loads of the input. Workspace: none. */
void mp_fully_connected_s8_dense_armv6m(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
