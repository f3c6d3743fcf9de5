/* sigmoid_table16.h: sigmoid and tanh of 16-bit fixed point out of a table. Inputs are in steps of 1 / 12288, which is three
 * eighths of the table's, outputs of 2^-15. Source: Logistic and Tanh of int16 in TensorFlow Lite, kernels/internal/
 * reference/integer_ops; docs/numerics.md. */
#ifndef MCUPRUNE_SIGMOID_TABLE16_H
#define MCUPRUNE_SIGMOID_TABLE16_H

#include <stdint.h>

extern const uint16_t mp_sigmoid_table16[256]; /* sigmoid(i / 24), Q0.16 */

/* The table at magnitude / 2^bits, times 2^bits; `highest` from its last entry on. */
static inline int32_t mp_sigmoid_steps16(int32_t magnitude, int32_t bits, int32_t highest)
{
    const int32_t place = magnitude >> bits;
    if (place >= 255) return highest << bits;
    const int32_t below = mp_sigmoid_table16[place], above = mp_sigmoid_table16[place + 1];
    return (below << bits) + (magnitude & ((1 << bits) - 1)) * (above - below);
}

/* 1 / (1 + exp(-x)). */
static inline int32_t mp_sigmoid_by_table16(int32_t x)
{
    const int32_t found = mp_sigmoid_steps16(x < 0 ? -x : x, 9, 0xFFFE);
    return (x < 0 ? (1 << 25) - found + (1 << 9) - 1 : found + (1 << 9)) >> 10;
}

/* tanh(x) = 2 * sigmoid(2 * x) - 1. */
static inline int32_t mp_tanh_by_table16(int32_t x)
{
    const int32_t found = mp_sigmoid_steps16(x < 0 ? -x : x, 8, 0xFFFF);
    return (x < 0 ? (1 << 23) - found + (1 << 7) - 1 : found - (1 << 23) + (1 << 7)) >> 8;
}

#endif
