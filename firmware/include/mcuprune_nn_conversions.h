/* mcuprune_nn_conversions.h: other scales and types, comparisons, logic. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_CONVERSIONS_H
#define MCUPRUNE_NN_CONVERSIONS_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* RELU, RELU6, requantization of int8: out = clamp(requant(in - in_zp) + out_zp, act_min, act_max). out may be in. */
typedef struct {
    uint32_t size;
    int32_t in_zp, out_zp;
    int32_t mult, shift;
    int32_t act_min, act_max;
} mp_requantize_s8;

void mp_requantize_s8_ref(const mp_requantize_s8 *op, const int8_t *in, int8_t *out);
void mp_requantize_s16_ref(const mp_requantize_s8 *op, const int16_t *in, int16_t *out);

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

#ifdef __cplusplus
}
#endif

#endif
