/* mcuprune_nn_dsp.h: kernels for cores with the DSP extension (Cortex-M4, M7, M33, ...). Included by mcuprune_nn.h.
 *
 * Each equals the reference kernel of its family and encoding bit for bit, and runs on any core: elsewhere as portable
 * C. Weights and parameters are laid out by mcuprune/kernels/dsp*.py. */
#ifndef MCUPRUNE_NN_DSP_H
#define MCUPRUNE_NN_DSP_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Parameters of one row (output channel), or of one part of it. */
typedef struct {
    int32_t bias;   /* zero point folded in; 0 in the second and later parts */
    int32_t mult;   /* Q31 */
    uint8_t right;  /* -shift, 8 bits; MP_ROW_PLAIN unset: 1..22 */
    uint8_t flags;  /* MP_ROW_* */
    uint16_t pairs; /* see each kernel */
} mp_row;

enum {
    MP_ROW_MORE = 1,  /* another part of the same row follows */
    MP_ROW_LATER = 2, /* not the first part */
    MP_ROW_PLAIN = 4, /* shift outside of -22..-1: rounding in few instructions does not serve */
    MP_ROW_SIGNED = 8 /* unless act_min >= out_zp and the shift is in -14..-1: negative results need their rounding */
};

/* What all rows share: out = clamp(requant(acc, mult, -right) + out_zp, act_min, act_max). */
typedef struct {
    const mp_row *rows;
    uint32_t count; /* of rows, or of their parts */
    int32_t out_zp, act_min, act_max;
} mp_row_table;

/* ---- Sparse convolution, positions in lanes ---- */

/* Gap-coded rows: pairs {gap, value} of all rows, and 8 bytes of 0. A row's first gap is 0, the others are distances to
 * the pair before, 1..255; each row has a pair, if need be one of value 0. mp_row.pairs: column of the first pair, below
 * 2048, times 32, plus the number of pairs modulo 32. Precondition, for each part of a row: |bias| + 128 * sum|part| < 2^22;
 * for each row: |acc| < 2^30. */
typedef struct {
    mp_conv_shape shape;
    mp_row_table table;
    const uint8_t *pairs;
} mp_conv2d_s8_gap_lanes;

/* Workspace, with cols = kernel_h * kernel_w * in_ch: 16 * cols bytes, and unless pointwise (1x1, stride 1, no padding)
 * two columns in whole words. out may be in where the layer is pointwise and out_ch <= in_ch. */
void mp_conv2d_s8_gap_dsp(const mp_conv2d_s8_gap_lanes *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_gap_dsp_workspace(const mp_conv_shape *shape);

/* Rice-coded rows: mp_rice's bits and nonzeros. Behind `bits` there are 4 bytes more, which are read but not used.
 * mp_row.pairs is the number of pairs that a row decodes to: its nonzeros, and one for each 255 zeros before one of them.
 * Precondition, for each row: |bias| + 128 * sum|row| < 2^22. */
typedef struct {
    mp_conv_shape shape;
    mp_row_table table;
    const uint8_t *bits;
    const int8_t *nz;
    uint8_t k;
} mp_conv2d_s8_rice_lanes;

/* Workspace, with cols as above: up to 8 tiles of 16 * cols bytes, as many as fit in 36 KiB, but at least one where
 * there are more than two positions; 4 * (cols rounded up to even) + 8 bytes for a decoded row and two columns. out may be in
 * under the same conditions. */
void mp_conv2d_s8_rice_dsp(const mp_conv2d_s8_rice_lanes *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_rice_dsp_workspace(const mp_conv_shape *shape);

/* Rows with at most two nonzeros in each four columns: steps of conv2d_s8_nm2x4_dsp.c, and a last one whose byte 2 is 1.
 * Precondition, for each row: |bias| + 128 * sum|row| < 2^30; the number of columns is a multiple of 4. */
typedef struct {
    mp_conv_shape shape;
    mp_row_table table;
    const uint32_t *steps;
} mp_conv2d_s8_nm2x4_steps;

/* Workspace, with cols as above: 48 * cols bytes, and unless pointwise cols more. out may be in under the same
 * conditions. */
void mp_conv2d_s8_nm2x4_dsp(const mp_conv2d_s8_nm2x4_steps *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_nm2x4_dsp_workspace(const mp_conv_shape *shape);

/* Fully-connected over gap-coded rows, as above; places[row] is what mp_row.pairs is there. */
typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    const uint16_t *places;
    const uint8_t *pairs;
} mp_fully_connected_s8_gap_places;

void mp_fully_connected_s8_gap_dsp(const mp_fully_connected_s8_gap_places *op, const int8_t *in, int8_t *out);

/* ---- Convolution, neighbouring columns in lanes ----
 *
 * rows: one stream of weights, biases and multipliers, laid out as each kernel's file says. Preconditions: the
 * accumulator of every other row, from the first one on, stays in [-2^22, 2^22) for any input, that of the others below
 * 2^30; shifts lie in -22..-1; and 256 * a + b >= -2^15 for the weights a, b of two such rows. out may be in where the
 * layer is pointwise and out_ch <= in_ch. */
typedef struct {
    mp_conv_shape shape;
    int8_t act_min, act_max;
    uint8_t last_alone;   /* blocks: the last row comes first and goes alone */
    uint16_t run_count;   /* 0: none */
    const uint16_t *runs; /* blocks, pointwise: columns of each run that is cut into pairs from its first one on */
    const uint32_t *rows;
} mp_conv2d_s8_smlad;

/* Dense: four rows by two positions. Workspace: 4 bytes a column; cols more for im2col. */
void mp_conv2d_s8_dense_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_dense_dsp_workspace(const mp_conv_shape *shape);

/* Blocks of 2x2: two rows by four positions. Workspace: 8 bytes a column; cols more for im2col, else 512; 4 * out_ch
 * more where two or three positions are left behind the last four. */
void mp_conv2d_s8_block2x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_block2x2_dsp_workspace(const mp_conv_shape *shape);

/* At most two nonzeros in four consecutive columns, in the same places for two rows. cols is a multiple of 4.
 * Workspace: as of blocks, with 24 bytes a column. */
void mp_conv2d_s8_nm2x4x2_dsp(const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out, void *workspace);
size_t mp_conv2d_s8_nm2x4x2_dsp_workspace(const mp_conv_shape *shape);

/* ---- Depthwise convolution, fully-connected, pooling, sums, products ---- */

/* Depthwise convolution, 3x3, stride 1 or 2 in both directions, no dilation, out_ch = in_ch >= 4. */

/* One channel: the nine weights w[row][column] and a power between them. Two ways to requantize, a walk for each:
 *
 *   relu:   bytes below out_zp are clamped away. bias and weights count 2^power times, power in 2..8;
 *           out = ssat8((acc * mult / 2^32 + 2^9 + 2^10 * out_zp + 2^(power - 2)) / 2^10), rounded down
 *   signed: bias and weights count twice; the reference's two roundings by right = power in 2..22, where
 *           |acc * mult| / 2^32 < 2^(32 - power) always
 *
 * |acc| < 2^31. mcuprune/kernels/dsp_depthwise.py finds them. */
typedef struct {
    int32_t bias; /* as acc counts */
    int32_t mult;
    uint8_t taps[12]; /* w00 w01 w10 w11, w02 power w20 w21, w12 0 w22 0; weights + 128 */
} mp_depthwise_row;

typedef struct mp_depthwise_walks mp_depthwise_walks; /* what a layer calls: the others need not be linked */

extern const mp_depthwise_walks mp_depthwise_relu_1, mp_depthwise_relu_2; /* of stride 1 and 2 */
extern const mp_depthwise_walks mp_depthwise_signed_1, mp_depthwise_signed_2;

typedef struct {
    mp_conv_shape shape;
    const mp_depthwise_walks *walks;
    const mp_depthwise_row *rows; /* one per channel */
    int32_t out_zp, act_min, act_max;
} mp_depthwise_conv2d_s8_dsp;

/* Workspace: 128 bytes for each input column that a strip of outputs sees (at most 24 output columns of stride 1 or 12 of
 * stride 2), and 188 bytes. */
void mp_depthwise_conv2d_s8_dense_dsp(const mp_depthwise_conv2d_s8_dsp *op, const int8_t *in, int8_t *out,
                                      void *workspace);
size_t mp_depthwise_conv2d_s8_dense_dsp_workspace(const mp_conv_shape *shape);

/* Fully-connected over dense rows. Rows of four weights a word, in its bytes w0 + 128, w1, w2 + 128, w3, filled with
 * weights of 0 (bytes 128, 0); four rows at a time, their words side by side, then the rows left over one by one.
 * rescale.bias[o] also holds 128 * the sum of row o's odd columns. With single_rounding every shift is in -31..-2 or its
 * multiplier 0; else as in the reference. Workspace: 8 bytes for each four columns. */
typedef struct {
    mp_fc_shape shape;
    mp_rescale rescale;
    const uint32_t *weights;
} mp_fully_connected_s8_dsp;

void mp_fully_connected_s8_dense_dsp(const mp_fully_connected_s8_dsp *op, const int8_t *in, int8_t *out,
                                     void *workspace);
size_t mp_fully_connected_s8_dense_dsp_workspace(const mp_fc_shape *shape);

/* Pooling over four or more channels; average pooling of windows of at most 255 taps. */
void mp_average_pool_s8_dsp(const mp_average_pool_s8 *op, const int8_t *in, int8_t *out);
void mp_max_pool_s8_dsp(const mp_max_pool_s8 *op, const int8_t *in, int8_t *out);

/* Sum of two tensors of one shape. mult and shift of the input with the larger scale are 2^30 and 0, those of the other one
 * the same or a shift of -22..-1; out_shift is in -22..-1; left_shift is 20. */
void mp_add_s8_dsp(const mp_add_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

/* Product with broadcast; shift is in -15..-2. */
void mp_mul_s8_dsp(const mp_mul_s8 *op, const int8_t *in1, const int8_t *in2, int8_t *out);

#ifdef __cplusplus
}
#endif

#endif
