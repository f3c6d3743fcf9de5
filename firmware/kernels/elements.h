/* elements.h: elements of any type. */
#ifndef MCUPRUNE_ELEMENTS_H
#define MCUPRUNE_ELEMENTS_H

#include "mcuprune_nn.h"

/* Element i of integers or bools. */
static inline int64_t mp_load_integer(mp_element type, const void *in, uint32_t i)
{
    switch (type) {
    case MP_INT8: return ((const int8_t *)in)[i];
    case MP_INT16: return ((const int16_t *)in)[i];
    case MP_INT32: return ((const int32_t *)in)[i];
    case MP_INT64: return ((const int64_t *)in)[i];
    default: return ((const uint8_t *)in)[i];
    }
}

/* Integer x as element i; what the type does not hold wraps, a bool is true but for 0. */
static inline void mp_store_integer(mp_element type, void *out, uint32_t i, int64_t x)
{
    switch (type) {
    case MP_INT8: ((int8_t *)out)[i] = (int8_t)x; break;
    case MP_UINT8: ((uint8_t *)out)[i] = (uint8_t)x; break;
    case MP_INT16: ((int16_t *)out)[i] = (int16_t)x; break;
    case MP_INT32: ((int32_t *)out)[i] = (int32_t)x; break;
    case MP_INT64: ((int64_t *)out)[i] = x; break;
    case MP_BOOL: ((uint8_t *)out)[i] = x != 0; break;
    default: ((float *)out)[i] = (float)x; break;
    }
}

/* Smallest and largest value of an integer type. */
static inline int64_t mp_smallest(mp_element type)
{
    switch (type) {
    case MP_INT8: return INT8_MIN;
    case MP_INT16: return INT16_MIN;
    case MP_INT32: return INT32_MIN;
    case MP_INT64: return INT64_MIN;
    default: return 0;
    }
}

static inline int64_t mp_largest(mp_element type) { return type == MP_UINT8 ? UINT8_MAX : -(mp_smallest(type) + 1); }

#endif
