/* inverse_root.h: 1 / sqrt(x) of whole numbers. */
#ifndef MCUPRUNE_INVERSE_ROOT_H
#define MCUPRUNE_INVERSE_ROOT_H

#include "mp_numerics.h"

typedef struct {
    int32_t mult, shift; /* positive is left */
} mp_factor;

/* 1 / sqrt(x) for x >= 0; of 0 that of 1: five Newton steps. GetInvSqrtQuantizedMultiplierExp. */
static inline mp_factor mp_inverse_root(int32_t x)
{
    if (x <= 1) return (mp_factor){INT32_MAX, 0};
    int32_t right = 11;
    for (; x >= 1 << 29; right++)
        x /= 4;
    const int32_t pairs = (mp_leading_zeros((uint32_t)x) - 1) / 2 - 1;
    const int32_t half = mp_rounding_divide_by_pot(mp_shift_left(x, 2 * pairs) >> 1, 1);
    const int32_t three_halves = (1 << 28) + (1 << 27); /* Q3 */
    int32_t root = 1 << 28;
    for (int i = 0; i < 5; i++) {
        const int32_t square = mp_saturating_doubling_high_mul(root, root);
        const int32_t cube = mp_saturating_shift_left(mp_saturating_doubling_high_mul(square, root), 6);
        const int32_t first = mp_saturating_doubling_high_mul(three_halves, root);
        root = mp_saturating_shift_left(first - mp_saturating_doubling_high_mul(half, cube), 3);
    }
    const int32_t sqrt_half = 1518500250, mult = mp_saturating_doubling_high_mul(root, sqrt_half);
    right -= pairs;
    return right < 0 ? (mp_factor){mp_shift_left(mult, -right), 0} : (mp_factor){mult, -right};
}

#endif
