/* mcuprune_nn_elementwise.h: sums, products and functions of single values. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_ELEMENTWISE_H
#define MCUPRUNE_NN_ELEMENTWISE_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}
#endif

#endif
