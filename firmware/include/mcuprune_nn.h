/* mcuprune_nn.h: int8 neural network kernels for Cortex-M, dense and sparse.
 *
 * Every kernel equals TensorFlow Lite's reference kernels (BUILTIN_REF) bit for bit. Names are
 * mp_<op>_<dtype>_<encoding>_<isa>; `ref` is portable C11, the other variants equal it.
 *
 * Layouts: activations NHWC with batch 1, weights OHWI seen as rows: row o holds the kernel_h * kernel_w * in_ch
 * weights of output channel o, in the order of an im2col column. real = scale * (q - zero_point).
 *
 * Ranges: multipliers are Q31 in [2^30, 2^31) or 0 (MEAN: from 2^29); shift is in [-31, 30], positive is left. Biases
 * already hold -in_zp * sum(row): kernels multiply stored int8 values, and padding holds in_zp.
 *
 * No kernel allocates, recurses or keeps state (recurrent ones are handed what they read and write over); in and out never overlap unless a kernel says so. `workspace` is 4-byte
 * aligned scratch of the size that the kernel's _workspace() function gives; it may be NULL where that is 0. */
#ifndef MCUPRUNE_NN_H
#define MCUPRUNE_NN_H

#include <stddef.h>
#include <stdint.h>

#define MP_ABI 4

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    MP_OK = 0,
    MP_STOPPED = 1, /* a layer observer asked to stop */
    MP_BAD_ARGUMENT = 2
} mp_status;

/* Geometry of a 2-D convolution or pooling window. */
typedef struct {
    uint16_t in_h, in_w, in_ch;
    uint16_t out_h, out_w, out_ch;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    int16_t pad_top, pad_left;
    int8_t pad_value; /* in_zp: what lies outside the input */
} mp_conv_shape;

/* What happens to an accumulator: out = clamp(requant(acc, mult[o], shift[o]) + out_zp, act_min, act_max). */
typedef struct {
    const int32_t *bias; /* one per output channel, zero point folded in */
    const int32_t *mult; /* one per output channel, Q31 */
    const int8_t *shift; /* one per output channel, positive is left */
    int32_t out_zp;
    int32_t act_min, act_max;
} mp_rescale;

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

/* Average pooling over the part of the window that lies inside the input; halves away from zero. */
typedef struct {
    mp_conv_shape shape;
    int32_t act_min, act_max;
} mp_average_pool_s8;

void mp_average_pool_s8_ref(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out);
void mp_average_pool_s16_ref(const mp_average_pool_s8 *op, const int16_t *in, int16_t *out);

/* Max pooling over the same part of the window. */
typedef mp_average_pool_s8 mp_max_pool_s8;

void mp_max_pool_s8_ref(const mp_max_pool_s8 *op, const int8_t *in, int8_t *out);
void mp_max_pool_s16_ref(const mp_max_pool_s8 *op, const int16_t *in, int16_t *out);

/* What a reduction walks over: the dimensions of the input that stay and those that go, strides in elements. Where there
 * are fewer than four of either, the first ones have size 1. */
typedef struct {
    uint32_t kept[4], kept_stride[4];
    uint32_t reduced[4], reduced_stride[4];
} mp_reduce_walk;

/* Mean or sum: the multiplier says which. Arithmetic: docs/numerics.md. */
typedef struct {
    mp_reduce_walk walk;
    int32_t in_zp, out_zp;
    int32_t mult;
    int32_t shift;
} mp_mean_s8;

void mp_mean_s8_ref(const mp_mean_s8 *op, const int8_t *in, int8_t *out);
void mp_mean_s16_ref(const mp_mean_s8 *op, const int16_t *in, int16_t *out);

/* The largest value, or the smallest. */
typedef struct {
    mp_reduce_walk walk;
    uint8_t smallest;
} mp_reduce_extreme_s8;

void mp_reduce_extreme_s8_ref(const mp_reduce_extreme_s8 *op, const int8_t *in, int8_t *out);
void mp_reduce_extreme_s16_ref(const mp_reduce_extreme_s8 *op, const int16_t *in, int16_t *out);

/* The product, scaled after each factor: mult is Q15, shift in -31..7. Members as of a mean. */
void mp_reduce_prod_s8_ref(const mp_mean_s8 *op, const int8_t *in, int8_t *out);
void mp_reduce_prod_s16_ref(const mp_mean_s8 *op, const int16_t *in, int16_t *out);

/* Place of the largest value along the middle dimension, or of the smallest, the first of several: in (outer, count,
 * inner), out (outer, inner). */
typedef struct {
    uint32_t outer, count, inner;
    uint8_t smallest;
} mp_arg_extreme_s8;

void mp_arg_extreme_s8_s32_ref(const mp_arg_extreme_s8 *op, const int8_t *in, int32_t *out);
void mp_arg_extreme_s8_s64_ref(const mp_arg_extreme_s8 *op, const int8_t *in, int64_t *out);

/* Softmax over rows of `cols`, in fixed point as TFLite's reference: in and out (rows, cols), cols <= 4095, out scale
 * 1/256 and zp -128, of int16 1/65536 and -32768. */
typedef struct {
    uint32_t rows, cols;
    int32_t mult;
    int32_t shift;
    int32_t diff_min;
} mp_softmax_s8;

void mp_softmax_s8_ref(const mp_softmax_s8 *op, const int8_t *in, int8_t *out);
void mp_softmax_s8_s16_ref(const mp_softmax_s8 *op, const int8_t *in, int16_t *out);

/* Softmax of int16 over rows of `cols` <= 65535, out scale 2^-15. */
typedef struct {
    uint32_t rows, cols;
    int32_t mult, shift;       /* to steps of 10 / 65535 */
    const int16_t *exp;        /* 513: of -10..0 */
    const int16_t *reciprocal; /* 513: 1 / (1 + x) of 0..1 */
} mp_softmax_s16;

void mp_softmax_s16_ref(const mp_softmax_s16 *op, const int16_t *in, int16_t *out);

/* Logarithm of softmax over rows of `cols` <= 4095, out scale 1/16, zp 127. */
typedef struct {
    uint32_t rows, cols;
    int32_t mult;
    int32_t shift;
    int32_t diff_min;
    int32_t reverse_mult, reverse_shift; /* from Q5.26 back to steps of the input */
} mp_log_softmax_s8;

void mp_log_softmax_s8_ref(const mp_log_softmax_s8 *op, const int8_t *in, int8_t *out);

/* Rows of `cols` <= 8256 by the inverse root of their squares' sum, out scale 1/128, zp 0. */
typedef struct {
    uint32_t rows, cols;
    int32_t in_zp;
} mp_l2_normalization_s8;

void mp_l2_normalization_s8_ref(const mp_l2_normalization_s8 *op, const int8_t *in, int8_t *out);

/* Elementwise sum with broadcast: output of shape `dims`; a stride of 0 repeats an input along that dimension. out may be
 * an input that is not broadcast. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    int32_t in1_offset, in2_offset;  /* minus the zero points */
    int32_t mult1, shift1, mult2, shift2, out_mult, out_shift;
    int32_t left_shift;
    int32_t out_zp, act_min, act_max;
} mp_add_s8;

void mp_add_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);
void mp_add_s16_ref(const mp_add_s8 *op, const int16_t *in1, const int16_t *in2, int16_t *out);

/* Elementwise product with broadcast, as mp_add_s8. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    int32_t in1_offset, in2_offset;  /* minus the zero points */
    int32_t mult, shift;
    int32_t out_zp, act_min, act_max;
} mp_mul_s8;

void mp_mul_s8_ref(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);
void mp_mul_s16_ref(const mp_mul_s8 *op, const int16_t *in1, const int16_t *in2, int16_t *out);

/* The same members for a difference, and for the square of a difference, for which left_shift is 7. */
void mp_sub_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);
void mp_sub_s16_ref(const mp_add_s8 *op, const int16_t *in1, const int16_t *in2, int16_t *out);
void mp_squared_difference_s8_ref(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

/* Sums and differences of int16 whose scales are powers of two: inputs go right by some bits, one of them by none. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    int32_t right1, right2;          /* 0..15 */
    int32_t sign2;                   /* 1, or -1 of a difference */
    int32_t act_min, act_max;
} mp_add_pot_s16;

void mp_add_pot_s16_ref(const mp_add_pot_s16 *op, const int16_t *in1, const int16_t *in2, int16_t *out);

/* Elementwise quotient with broadcast, the same members; shift is in 7..23. */
void mp_div_s8_ref(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

/* The smaller or larger one of two stored values, with broadcast, as mp_add_s8. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
} mp_broadcast;

void mp_minimum_s8_ref(const mp_broadcast *op, const int8_t *in1, const int8_t *in2, int8_t *out);
void mp_maximum_s8_ref(const mp_broadcast *op, const int8_t *in1, const int8_t *in2, int8_t *out);
void mp_minimum_s16_ref(const mp_broadcast *op, const int16_t *in1, const int16_t *in2, int16_t *out);
void mp_maximum_s16_ref(const mp_broadcast *op, const int16_t *in1, const int16_t *in2, int16_t *out);

/* PRELU: from zero on a multiplier, below zero times a slope and another multiplier. slope: in2, with broadcast. out may
 * be in. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    int32_t in_offset, slope_offset; /* minus the zero points */
    int32_t mult, shift, slope_mult, slope_shift;
    int32_t out_zp;
} mp_prelu_s8;

void mp_prelu_s8_ref(const mp_prelu_s8 *op, const int8_t *in, const int8_t *slope, int8_t *out);

/* Any function of one stored value of 8 bits, int8 or uint8 on either side. out may be in. */
typedef struct {
    uint32_t size;
    const int8_t *table; /* 256, by the value seen as uint8_t: 0..127, then -128..-1 */
} mp_lut_s8;

void mp_lut_s8_ref(const mp_lut_s8 *op, const void *in, void *out);

/* A function of one int16 value: lines between entries 128 apart. out may be in. */
typedef struct {
    uint32_t size;
    const int16_t *table; /* 513, of -32768 first */
} mp_lut_s16;

void mp_lut_s16_ref(const mp_lut_s16 *op, const int16_t *in, int16_t *out);

/* LEAKY_RELU and ABS of int16: x * mult from zero on, out_sign * (in_sign * x * below_mult) below. out may be in. */
typedef struct {
    uint32_t size;
    int32_t mult, shift;
    int32_t below_mult, below_shift;
    int32_t in_sign, out_sign; /* 1 or -1 */
} mp_slopes_s16;

void mp_slopes_s16_ref(const mp_slopes_s16 *op, const int16_t *in, int16_t *out);

/* Sigmoid or tanh of int16, out scale 2^-15. out may be in. */
typedef struct {
    uint32_t size;
    uint32_t tanh;       /* 0: sigmoid */
    int32_t mult, right; /* x * mult >> right is in steps of 1 / 12288 */
} mp_sigmoid_s16;

void mp_sigmoid_s16_ref(const mp_sigmoid_s16 *op, const int16_t *in, int16_t *out);

/* Padding with a constant, up to 4 dimensions (leading ones are 1), the last one in bytes. */
typedef struct {
    uint32_t in_dims[4];
    uint32_t before[4], after[4];
    uint8_t value[8]; /* of which the first `period` bytes repeat: an element's, or 1 where they are all the same */
    uint8_t period;
} mp_pad;

void mp_pad_ref(const mp_pad *op, const void *in, void *out);

/* Kernels that move bytes, for elements of any size.
 *
 * Nested loops: bytes [0, run) of output element (i, ..., n) come from in + start + i * strides[0] + ... + n * strides[5].
 * Slices, transpositions, repetitions. */
typedef struct {
    uint32_t dims[6];   /* of the output, leading ones are 1 */
    int32_t strides[6]; /* bytes, 0 repeats, negative goes backwards */
    uint32_t start;     /* bytes */
    uint32_t run;       /* bytes that lie side by side in both */
} mp_copy;

void mp_copy_ref(const mp_copy *op, const void *in, void *out);

/* Indices of each dimension: `run` bytes of output element (i, j, k, l) come from in + the i-th offset of the first
 * dimension + the j-th of the second + ... */
typedef struct {
    uint32_t dims[4];        /* of the output, leading ones are 1 */
    uint32_t run;            /* bytes */
    const uint32_t *offsets; /* bytes: dims[0] of the first dimension, then dims[1] of the second, ... */
} mp_gather;

void mp_gather_ref(const mp_gather *op, const void *in, void *out);

/* Tensors side by side: each of `rows` rows of the output is widths[0] bytes of in[0], widths[1] of in[1], ... Where there
 * is one row, an input may lie in its place inside the output; elsewhere none overlaps it. */
typedef struct {
    uint32_t rows, parts;
    const uint32_t *widths; /* bytes */
} mp_concatenation;

void mp_concatenation_ref(const mp_concatenation *op, const void *const *in, void *out);

/* Bilinear interpolation between pixels: output (i, j) lies at input (i * step_h + start_h, j * step_w + start_w), in units of
 * 1/1024 pixel. */
typedef struct {
    uint16_t in_h, in_w, out_h, out_w, ch;
    int32_t step_h, step_w;
    int32_t start_h, start_w;
} mp_resize_bilinear_s8;

void mp_resize_bilinear_s8_ref(const mp_resize_bilinear_s8 *op, const int8_t *in, int8_t *out);
void mp_resize_bilinear_s16_ref(const mp_resize_bilinear_s8 *op, const int16_t *in, int16_t *out);

/* RELU, RELU6, requantization of int8: out = clamp(requant(in - in_zp) + out_zp, act_min, act_max). out may be in. */
typedef struct {
    uint32_t size;
    int32_t in_zp, out_zp;
    int32_t mult, shift;
    int32_t act_min, act_max;
} mp_requantize_s8;

void mp_requantize_s8_ref(const mp_requantize_s8 *op, const int8_t *in, int8_t *out);
void mp_requantize_s16_ref(const mp_requantize_s8 *op, const int16_t *in, int16_t *out);

/* Types of elements, for kernels that stand at a model's edge and take any. bool is a byte of 0 or 1. */
typedef enum { MP_INT8, MP_UINT8, MP_INT16, MP_INT32, MP_INT64, MP_BOOL, MP_FLOAT32 } mp_element;

/* Requantization between integers of 8, 16 and 32 bits. */
typedef struct {
    uint32_t size;
    mp_element in_type, out_type; /* MP_INT8..MP_INT32 */
    int32_t in_zp, out_zp;
    int32_t mult, shift;
} mp_requantize_any;

void mp_requantize_any_ref(const mp_requantize_any *op, const void *in, void *out);

/* Stored values in another type: integers wrap, floats are cut toward zero and saturate, NaN gives the largest. */
typedef struct {
    uint32_t size;
    mp_element in_type, out_type;
} mp_cast_any;

void mp_cast_any_ref(const mp_cast_any *op, const void *in, void *out);

/* Rows of a table at computed positions, as int16, int32 or int64. Those out of range take the nearest that is in it. */
typedef struct {
    uint32_t batches, outer, count, depth; /* depth: positions that name a row */
    uint32_t sizes[4];                     /* those behind depth are 1 */
    uint32_t run;                          /* bytes of a row */
    mp_element positions;
    uint32_t from_end; /* positions below 0 count from the end */
} mp_lookup;

void mp_lookup_ref(const mp_lookup *op, const void *in, const void *positions, void *out);

/* Comparisons with broadcast, as mp_add_s8: true where the order of two values is among `accepts`. */
enum { MP_LESS = 1, MP_EQUAL = 2, MP_GREATER = 4, MP_UNORDERED = 8 };

typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    int32_t in1_offset, in2_offset;  /* minus the zero points */
    int32_t mult1, shift1, mult2, shift2;
    uint8_t accepts;
} mp_compare_s8;

void mp_compare_s8_ref(const mp_compare_s8 *op, const int8_t *in1, const int8_t *in2, uint8_t *out);
void mp_compare_u8_ref(const mp_compare_s8 *op, const uint8_t *in1, const uint8_t *in2, uint8_t *out);
void mp_compare_s16_ref(const mp_compare_s8 *op, const int16_t *in1, const int16_t *in2, uint8_t *out);

typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    mp_element type;
    uint8_t accepts;
} mp_compare_any;

void mp_compare_any_ref(const mp_compare_any *op, const void *in1, const void *in2, uint8_t *out);

/* Logic with broadcast: bit 2 * a + b of `truth` is the result. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4]; /* in elements */
    uint8_t truth;
} mp_logical_bool;

void mp_logical_bool_ref(const mp_logical_bool *op, const uint8_t *in1, const uint8_t *in2, uint8_t *out);

/* x where the condition holds, else y, with broadcast: stride1 of the condition, stride2 of x, stride3 of y. */
typedef struct {
    uint32_t dims[4];
    uint32_t stride1[4], stride2[4], stride3[4]; /* in elements */
    uint8_t bytes;                               /* of an element of x, y and out */
} mp_select_any;

void mp_select_any_ref(const mp_select_any *op, const uint8_t *condition, const void *x, const void *y, void *out);

/* float to an integer, round(x / scale) + zp with halves away from zero, clamped. NaN: see the kernel. */
typedef struct {
    uint32_t size;
    float scale;
    int32_t zp;
} mp_affine;

void mp_quantize_f32_s8_ref(const mp_affine *op, const float *in, int8_t *out);
void mp_quantize_f32_u8_ref(const mp_affine *op, const float *in, uint8_t *out);
void mp_quantize_f32_s16_ref(const mp_affine *op, const float *in, int16_t *out);
void mp_dequantize_s8_f32_ref(const mp_affine *op, const int8_t *in, float *out);
void mp_dequantize_u8_f32_ref(const mp_affine *op, const uint8_t *in, float *out);
void mp_dequantize_s16_f32_ref(const mp_affine *op, const int16_t *in, float *out);

/* SVDF: features of this call and earlier ones, weighted over time. state: (filters, memory), kept from call to call. */
typedef struct {
    uint32_t inputs, filters, rank, memory; /* rank: filters of one output */
    const int8_t *features;                 /* (filters, inputs) */
    const int16_t *times;                   /* (filters, memory) */
    const int32_t *feature_bias;            /* (filters): -in_zp * sum(row) */
    const int32_t *bias;                    /* (filters / rank); NULL: none */
    int32_t feature_mult, feature_shift, mult, shift;
    int32_t out_zp;
} mp_svdf_s8;

void mp_svdf_s8_ref(const mp_svdf_s8 *op, const int8_t *in, int16_t *state, int8_t *out);

/* LSTM over the steps of a sequence. Gates lie one after the other: cell, forget, output, and input unless it is coupled
 * with forget. h: (outputs), c: (cells), kept from call to call. */
typedef struct {
    uint32_t steps, inputs, cells, outputs;
    uint32_t projects; /* 0: the hidden values are the output */
} mp_lstm_shape;

typedef struct {
    mp_lstm_shape shape;
    uint32_t coupled;
    const int8_t *in_weights, *rec_weights; /* (gates, cells, inputs), (gates, cells, outputs) */
    const int32_t *in_bias, *rec_bias;      /* (gates, cells); zero points are folded in */
    const int16_t *peephole;                /* (gates but the first, cells); NULL: none */
    const int8_t *projection;               /* (outputs, cells); NULL: none */
    const int32_t *projection_bias;
    int32_t in_mult[4], in_shift[4], rec_mult[4], rec_shift[4], cell_mult[4], cell_shift[4]; /* by gate */
    int32_t cell_bits; /* integer bits of c, 0 to 6 */
    int32_t cell_clip; /* 0: none */
    int32_t hidden_mult, hidden_shift, hidden_zp;
    int32_t projection_mult, projection_shift, projection_clip; /* clip 0: none */
    int32_t out_zp;
} mp_lstm_s8;

size_t mp_lstm_s8_ref_workspace(const mp_lstm_shape *shape);
void mp_lstm_s8_ref(const mp_lstm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out, void *workspace);

/* An LSTM that normalizes the sums of each gate over its cells, before sigmoid and tanh. */
typedef struct {
    mp_lstm_shape shape; /* that of lstm */
    mp_lstm_s8 lstm;
    const int16_t *norm_weights; /* (gates, cells) */
    const int32_t *norm_bias;    /* (gates, cells) */
    int32_t norm_mult[4], norm_shift[4], norm_guard[4]; /* by gate; guard: stands for a variance below 1 */
} mp_lstm_norm_s8;

size_t mp_lstm_norm_s8_ref_workspace(const mp_lstm_shape *shape);
void mp_lstm_norm_s8_ref(const mp_lstm_norm_s8 *op, const int8_t *in, int8_t *h, int16_t *c, int8_t *out,
                         void *workspace);

/* LSTM on int16 activations with int8 weights; gates lie as in mp_lstm_s8, h and c: (cells), kept from call to call. */
typedef struct {
    uint32_t steps, inputs, cells;
    const int8_t *in_weights, *rec_weights;                           /* (4, cells, inputs), (4, cells, cells) */
    const int64_t *bias;                                              /* (4, cells) */
    int32_t in_mult[4], in_shift[4], rec_mult[4], rec_shift[4];       /* by gate; 16-bit multipliers */
    int32_t cell_bits, cell_clip;                                     /* integer bits of c, 0 to 6; clip 0: none */
    int32_t enter_mult, enter_shift, hidden_mult, hidden_shift;
} mp_lstm_s16s8;

void mp_lstm_s16s8_ref(const mp_lstm_s16s8 *op, const int16_t *in, int16_t *h, int16_t *c, int16_t *out);

#ifdef __cplusplus
}
#endif

#include "mcuprune_nn_dsp.h"
#include "mcuprune_nn_mve.h"
#include "mcuprune_nn_armv6m.h"
#include "mcuprune_nn_armv7m.h"

#endif
