/* arg_extreme.h: the place of the largest or smallest of some values, the first of several. */
#ifndef MCUPRUNE_ARG_EXTREME_H
#define MCUPRUNE_ARG_EXTREME_H

#include "mcuprune_nn.h"

/* Among `count` values, `inner` apart from each other. */
static inline uint32_t mp_place_of_extreme(const mp_arg_extreme_s8 *op, const int8_t *x)
{
    uint32_t place = 0;
    int8_t found = *x;
    for (uint32_t i = 1; i < op->count; i++) {
        const int8_t value = x[i * op->inner];
        if (op->smallest ? value < found : value > found) {
            found = value;
            place = i;
        }
    }
    return place;
}

#endif
