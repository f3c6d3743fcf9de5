/* row_requant.h: from a row's doubled accumulator to an output byte, by its mp_row; and clamps. */
#ifndef MCUPRUNE_ROW_REQUANT_H
#define MCUPRUNE_ROW_REQUANT_H

#include "mp_numerics.h"
#include "requant_dsp.h"

/* twice: 2 * acc, |acc| < 2^30; twice_zp_1: 2 * out_zp + 1. */
static inline int8_t mp_row_requant(const mp_row *row, int32_t twice_zp_1, int32_t twice)
{
    const int32_t right = (int8_t)row->right;
    if (row->flags & MP_ROW_PLAIN)
        return mp_ssat_s8(mp_requant(twice / 2, row->mult, -right) + (twice_zp_1 - 1) / 2);
    return mp_requant_signed(twice, row->mult, mp_shift_left(twice_zp_1, right - 1), (uint32_t)right);
}

/* Clamps outputs to an activation range that is narrower than int8. Saturating first, clamping then is exact. */
static inline void mp_clamp_output(const mp_row_table *table, int8_t *out, uint32_t size)
{
    if (table->act_min <= INT8_MIN && table->act_max >= INT8_MAX) return;
    for (int8_t *end = out + size; out != end; out++)
        *out = (int8_t)mp_clamp(*out, table->act_min, table->act_max);
}

#endif
