/* mcuprune_nn_mve.h: kernels for cores with integer vectors (MVE, Helium): Cortex-M55, M85. Part of mcuprune_nn.h.
 *
 * only_right: 1 where every shift is -1 or less; rows of multiplier 0 are given shift -1. 0 serves any shift. */
#ifndef MCUPRUNE_NN_MVE_H
#define MCUPRUNE_NN_MVE_H

#include "mcuprune_nn.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Dense convolution. weights: for each pair of rows, for each 16 columns: 16 weights of the one row, 16 of the other;
 * zeros fill the last 16 columns and the missing row of an odd last pair. out may be in where the convolution is 1x1 of
 * stride 1 without padding and out_ch <= in_ch. Workspace, with cols = kernel_h * kernel_w * in_ch: 1024 bytes and four
 * columns, each rounded up to 16. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_dense weights;
    uint8_t only_right;
} mp_conv2d_s8_dense16;

void mp_conv2d_s8_dense_mve(const mp_conv2d_s8_dense16 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_dense_mve_workspace(const mp_conv_shape *shape);

/* Rows of blocks of up to 16 columns: the columns are cut into groups, group g begins at column starts[g] and ends
 * where the next one begins. A block holds a row's weights of a group, zeros behind them. */
typedef struct {
    const uint16_t *starts;     /* at most 16 apart, below 65536; at most (cols + 11) / 12 + 1 of them */
    const uint16_t *row_blocks; /* blocks of each row */
    const uint8_t *gap;         /* as in mp_gap, in groups */
    const int8_t *values;       /* 16 a block */
    uint16_t groups;
} mp_column_blocks;

/* Convolution over them. out may be in where the convolution is 1x1 of stride 1 without padding and out_ch <= in_ch.
 * Workspace: 2048 bytes, 128 for each group that there may be, and one column rounded up to 16 unless 1x1 of stride 1
 * without padding. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_column_blocks weights;
    uint8_t only_right;
} mp_conv2d_s8_block16;

void mp_conv2d_s8_block1x16_mve(const mp_conv2d_s8_block16 *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_block1x16_mve_workspace(const mp_conv_shape *shape);

/* Depthwise convolution. weights: (out_ch, kernel_w, kernel_h). Preconditions: out_ch = in_ch, no dilation, kernel_h at
 * most 4, kernel_h * kernel_w <= 16, kernel_h * stride_w <= 24. Workspace: 1728 bytes. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_dense weights;
    uint8_t only_right;
} mp_depthwise_conv2d_s8_taps16;

void mp_depthwise_conv2d_s8_dense_mve(const mp_depthwise_conv2d_s8_taps16 *op, const int8_t *in, int8_t *out,
                                      void *workspace);
size_t mp_depthwise_conv2d_s8_dense_mve_workspace(const mp_conv_shape *shape);

/* Structs of the reference kernels. Average pooling: windows of at most 255 taps. Sum: strides of 0 or 1 along the last
 * dimension, every shift 0 or less. Workspace: none. */
void mp_fully_connected_s8_dense_mve(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out);
void mp_average_pool_s8_mve(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out);
void mp_add_s8_mve(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
