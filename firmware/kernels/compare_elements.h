/* compare_elements.h: the order of two stored values of 8 or 16 bits, on one scale. */
#ifndef MCUPRUNE_COMPARE_ELEMENTS_H
#define MCUPRUNE_COMPARE_ELEMENTS_H

#include "broadcast_walk.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

enum { MP_COMPARE_SHIFT = 8 };

static inline int mp_compare_elements(const mp_compare_s8 *op, int32_t x1, int32_t x2)
{
    const int32_t a1 = mp_requant(mp_shift_left(x1 + op->in1_offset, MP_COMPARE_SHIFT), op->mult1, op->shift1);
    const int32_t a2 = mp_requant(mp_shift_left(x2 + op->in2_offset, MP_COMPARE_SHIFT), op->mult2, op->shift2);
    return (op->accepts & (a1 < a2 ? MP_LESS : a1 == a2 ? MP_EQUAL : MP_GREATER)) != 0;
}

#endif
