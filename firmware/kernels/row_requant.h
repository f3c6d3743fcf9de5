/* row_requant.h: from a row's doubled accumulator to an output byte, by its mp_row. */
#ifndef MCUPRUNE_ROW_REQUANT_H
#define MCUPRUNE_ROW_REQUANT_H

#include "mcuprune_nn.h"
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

#endif
