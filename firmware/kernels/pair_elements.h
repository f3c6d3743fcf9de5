/* pair_elements.h: what two stored values of int8 or int16 give. Every result lies inside of the activation range. */
#ifndef MCUPRUNE_PAIR_ELEMENTS_H
#define MCUPRUNE_PAIR_ELEMENTS_H

#include "mcuprune_nn.h"
#include "mp_numerics.h"

/* requant((x + offset) * 2^left_shift, mult, shift) of either input. */
static inline int32_t mp_scaled_first(const mp_add_s8 *op, int32_t x)
{
    return mp_requant(mp_shift_left(x + op->in1_offset, op->left_shift), op->mult1, op->shift1);
}

static inline int32_t mp_scaled_second(const mp_add_s8 *op, int32_t x)
{
    return mp_requant(mp_shift_left(x + op->in2_offset, op->left_shift), op->mult2, op->shift2);
}

/* A sum, a difference or its square as a stored value. */
static inline int32_t mp_stored(const mp_add_s8 *op, int32_t x)
{
    return mp_clamp(mp_requant(x, op->out_mult, op->out_shift) + op->out_zp, op->act_min, op->act_max);
}

static inline int32_t mp_add_elements(const mp_add_s8 *op, int32_t x1, int32_t x2)
{
    return mp_stored(op, mp_scaled_first(op, x1) + mp_scaled_second(op, x2));
}

static inline int32_t mp_subtract_elements(const mp_add_s8 *op, int32_t x1, int32_t x2)
{
    return mp_stored(op, mp_scaled_first(op, x1) - mp_scaled_second(op, x2));
}

static inline int32_t mp_multiply_elements(const mp_mul_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t product = (x1 + op->in1_offset) * (x2 + op->in2_offset);
    return mp_clamp(mp_requant(product, op->mult, op->shift) + op->out_zp, op->act_min, op->act_max);
}

static inline int32_t mp_smaller_element(const mp_broadcast *op, int32_t x1, int32_t x2)
{
    (void)op;
    return x1 < x2 ? x1 : x2;
}

static inline int32_t mp_larger_element(const mp_broadcast *op, int32_t x1, int32_t x2)
{
    (void)op;
    return x1 > x2 ? x1 : x2;
}

#endif
