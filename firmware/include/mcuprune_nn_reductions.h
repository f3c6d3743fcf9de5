/* mcuprune_nn_reductions.h: pooling, reductions, softmax and norms. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_REDUCTIONS_H
#define MCUPRUNE_NN_REDUCTIONS_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif

#endif
