/* mcuprune_nn_weighted.h: layers with weights, and products of matrices. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_WEIGHTED_H
#define MCUPRUNE_NN_WEIGHTED_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of weights: what a convolution and a fully-connected layer share. `rows` output channels of `cols` weights. */
typedef struct {
    const int8_t *weights; /* rows * cols */
} mp_dense;

typedef struct {
    const uint8_t *mask; /* rows * ceil(cols / 8) bytes; bit i of byte j is column 8 * j + i */
    const int8_t *nz;    /* nonzeros, row by row */
} mp_bitmap;

/* Sparse rows as a stream of (gap, value) pairs. */
typedef struct {
    const uint16_t *row_nnz; /* pairs of each row */
    const uint8_t *pairs;    /* gap, then the int8 value. First gap of a row: its column; others: distance to the one
                                before. A distance over 255 is bridged by pairs of value 0. */
} mp_gap;

/* Sparse rows as Golomb-Rice codes of the zeros before each nonzero: gap >> k bits of 0, a 1, the low k bits of gap,
 * highest first. Codes of all rows follow each other; a byte's highest bit comes first. */
typedef struct {
    const uint16_t *row_nnz; /* nonzeros of each row */
    const uint8_t *bits;
    const int8_t *nz; /* nonzeros, row by row */
    uint8_t k;        /* 0..7 */
} mp_rice;

/* Blocks of block_rows output channels by block_cols consecutive columns. Ragged edges are padded with zeros: `values`
 * always holds block_rows * block_cols bytes a block, row-major inside the block. */
typedef struct {
    const uint16_t *row_blocks; /* blocks of each group of block_rows rows */
    const uint8_t *gap;         /* as in mp_gap, in units of block_cols */
    const int8_t *values;
    uint8_t block_rows, block_cols; /* 1..16 each */
} mp_block;

typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_dense weights;
} mp_conv2d_s8_dense;

typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_bitmap weights;
} mp_conv2d_s8_bitmap;

typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_gap weights;
} mp_conv2d_s8_gap;

typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_rice weights;
} mp_conv2d_s8_rice;

typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_block weights;
} mp_conv2d_s8_block;

/* Convolution. in: (in_h, in_w, in_ch), out: (out_h, out_w, out_ch). Workspace: two im2col columns in whole words;
 * 0 for a 1x1 convolution of stride 1 without padding. Requantization rounds twice, as TFLite's does. */
void mp_conv2d_s8_dense_ref(const mp_conv2d_s8_dense *op, const int8_t *in, int8_t *out, void *workspace);
void mp_conv2d_s8_bitmap_ref(const mp_conv2d_s8_bitmap *op, const int8_t *in, int8_t *out, void *workspace);
void mp_conv2d_s8_gap_ref(const mp_conv2d_s8_gap *op, const int8_t *in, int8_t *out, void *workspace);
void mp_conv2d_s8_rice_ref(const mp_conv2d_s8_rice *op, const int8_t *in, int8_t *out, void *workspace);
void mp_conv2d_s8_block_ref(const mp_conv2d_s8_block *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_ref_workspace(const mp_conv_shape *shape);

/* Depthwise convolution: out_ch = in_ch * depth_multiplier, weights (kernel_h, kernel_w, out_ch). Workspace: 8 bytes a
 * tap. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_dense weights;
} mp_depthwise_conv2d_s8_dense;

void mp_depthwise_conv2d_s8_dense_ref(const mp_depthwise_conv2d_s8_dense *op, const int8_t *in, int8_t *out,
                                      void *workspace);
size_t mp_depthwise_conv2d_s8_ref_workspace(const mp_conv_shape *shape);

/* Convolution in groups: output channel o reads the group_ch input channels of group o / (out_ch * group_ch / in_ch),
 * weights (out_ch, kernel_h, kernel_w, group_ch). Workspace: none. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    uint16_t group_ch;
    mp_dense weights;
} mp_grouped_conv2d_s8_dense;

void mp_grouped_conv2d_s8_dense_ref(const mp_grouped_conv2d_s8_dense *op, const int8_t *in, int8_t *out);

/* Transposed convolution: input position (y, x) adds its window to the output from (y * stride_h - pad_top, x * stride_w -
 * pad_left) on. Biases do NOT hold the zero point, which is shape.pad_value. Workspace: none. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale rescale;
    mp_dense weights;
} mp_transpose_conv_s8_dense;

void mp_transpose_conv_s8_dense_ref(const mp_transpose_conv_s8_dense *op, const int8_t *in, int8_t *out);

/* Layers with int16 activations and int8 weights: zero points are 0, sums have 64 bits.
 *
 * out = clamp(requant(acc, mult[o], shift[o]), act_min, act_max). wide: acc has 64 bits and mult is Q15 with shift in
 * [-31, 7]; else acc fits 32 bits and both are as in mp_rescale. */
typedef struct {
    const int64_t *bias; /* one per output channel */
    const int32_t *mult;
    const int8_t *shift;
    int32_t act_min, act_max;
    uint8_t wide;
} mp_rescale_s16;

/* Convolution, also in groups, as mp_grouped_conv2d_s8; group_ch is in_ch where there are none. Workspace: none. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale_s16 rescale;
    uint16_t group_ch;
    mp_dense weights;
} mp_conv2d_s16s8_dense;

void mp_conv2d_s16s8_dense_ref(const mp_conv2d_s16s8_dense *op, const int16_t *in, int16_t *out);

/* Depthwise convolution, as mp_depthwise_conv2d_s8. Workspace: none. */
typedef struct {
    mp_conv_shape shape;
    mp_rescale_s16 rescale;
    mp_dense weights;
} mp_depthwise_conv2d_s16s8_dense;

void mp_depthwise_conv2d_s16s8_dense_ref(const mp_depthwise_conv2d_s16s8_dense *op, const int16_t *in, int16_t *out);

/* Transposed convolution, as mp_transpose_conv_s8. Workspace: none. */
typedef mp_depthwise_conv2d_s16s8_dense mp_transpose_conv_s16s8_dense;

void mp_transpose_conv_s16s8_dense_ref(const mp_transpose_conv_s16s8_dense *op, const int16_t *in, int16_t *out);

/* Fully-connected: out = clamp(round((acc + bias[o]) * scale[o]), act_min, act_max), in double as TFLite's reference.
 * Workspace: none. */
typedef struct {
    uint32_t batches, cols, rows;
    const int64_t *bias;
    const double *scale;
    int32_t act_min, act_max;
    mp_dense weights;
} mp_fully_connected_s16s8_dense;

void mp_fully_connected_s16s8_dense_ref(const mp_fully_connected_s16s8_dense *op, const int16_t *in, int16_t *out);

/* Products of matrices, batch[0] * batch[1] * batch[2] of them: (rows, depth) by (depth, cols). Strides in elements; of
 * a batch dimension along which an operand repeats 0. Workspace: none. */
typedef struct {
    uint32_t batch[3], batch_stride1[3], batch_stride2[3];
    uint32_t rows, cols, depth;
    uint32_t row_stride, col_stride;
    uint32_t depth_stride1, depth_stride2;
} mp_matmul_walk;

/* A fully-connected layer whose weights are computed, too: with bias and single_rounding (see mp_fc_shape). */
typedef struct {
    mp_matmul_walk walk;
    const int32_t *bias; /* one per column; NULL: none */
    int32_t in1_zp, in2_zp;
    int32_t mult, shift;
    int32_t out_zp, act_min, act_max;
    uint8_t single_rounding;
} mp_batch_matmul_s8;

void mp_batch_matmul_s8_ref(const mp_batch_matmul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

/* int16 by int16 or int8, sums of 64 bits, all zero points 0; mult is Q15, shift in [-31, 7]. */
typedef struct {
    mp_matmul_walk walk;
    int32_t mult, shift;
    uint8_t in2_bytes; /* of an element, 1 or 2 */
} mp_batch_matmul_s16;

void mp_batch_matmul_s16_ref(const mp_batch_matmul_s16 *op, const int16_t *in1, const void *in2, int16_t *out);

/* Fully-connected: in (batches, cols), out (batches, rows). single_rounding: 1 where the 64-bit product is rounded
 * once, halves away from zero, as TFLite's reference does (docs/numerics.md). Workspace: none. */
typedef struct {
    uint32_t batches, cols, rows;
    uint8_t single_rounding;
} mp_fc_shape;

typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    mp_dense weights;
} mp_fully_connected_s8_dense;

typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    mp_bitmap weights;
} mp_fully_connected_s8_bitmap;

typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    mp_gap weights;
} mp_fully_connected_s8_gap;

typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    mp_rice weights;
} mp_fully_connected_s8_rice;

typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    mp_block weights;
} mp_fully_connected_s8_block;

void mp_fully_connected_s8_dense_ref(const mp_fully_connected_s8_dense *op, const int8_t *in, int8_t *out);
void mp_fully_connected_s8_bitmap_ref(const mp_fully_connected_s8_bitmap *op, const int8_t *in, int8_t *out);
void mp_fully_connected_s8_gap_ref(const mp_fully_connected_s8_gap *op, const int8_t *in, int8_t *out);
void mp_fully_connected_s8_rice_ref(const mp_fully_connected_s8_rice *op, const int8_t *in, int8_t *out);
void mp_fully_connected_s8_block_ref(const mp_fully_connected_s8_block *op, const int8_t *in, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
