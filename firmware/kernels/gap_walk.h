/* gap_walk.h: a gap-coded row times one column, for cores with the DSP extension. */
#ifndef MCUPRUNE_GAP_WALK_H
#define MCUPRUNE_GAP_WALK_H

#include "mcuprune_nn.h"
#include "mp_simd.h"

enum { MP_GAP_AHEAD = 8 }; /* bytes behind the last pair, the first two of them 0 */

/* sum += row * column over the pairs of a row, which end before a gap of 0. place: mp_row.pairs. Returns the next row's
 * pairs. */
static inline const uint8_t *mp_gap_walk(const uint8_t *pairs, uint32_t place, const int8_t *x, int32_t *sum)
{
    int32_t acc = *sum;
    uint32_t left = MP_DSP ? place % 4 : 1; /* pairs until groups of four, or something */
    x += place / 32;
    if (left > 0) {
        do {
            x += pairs[0];
            acc += *x * (int8_t)pairs[1];
            pairs += 2;
        } while (MP_DSP ? --left : pairs[0]);
    }
#if MP_DSP
/* Four pairs, 17 cycles. A word is {gap, value, gap, value}: UXTAB adds a gap to the place, SXTB16 makes lanes of the
 * values. The next four pairs are loaded behind the activations: LDR 2 + 5 more at 1. Cortex-M4 TRM, DDI 0439, 3.3. */
#define MP_FOUR_PAIRS                                                                                                  \
    "uxtab   %[x0], %[x], %[q0]           \n"                                                                          \
    "uxtab   %[x1], %[x0], %[q0], ror #16 \n"                                                                          \
    "uxtab   %[x2], %[x1], %[q1]          \n"                                                                          \
    "uxtab   %[x], %[x2], %[q1], ror #16  \n"                                                                          \
    "sxtb16  %[w0], %[q0], ror #8         \n"                                                                          \
    "sxtb16  %[w1], %[q1], ror #8         \n"                                                                          \
    "ldrsb   %[x0], [%[x0]]               \n"                                                                          \
    "ldrsb   %[x1], [%[x1]]               \n"                                                                          \
    "ldrsb   %[x2], [%[x2]]               \n"                                                                          \
    "ldrsb   %[x3], [%[x]]                \n"                                                                          \
    "ldr     %[q0], [%[s]], #4            \n"                                                                          \
    "ldr     %[q1], [%[s]], #4            \n"                                                                          \
    "smlabb  %[acc], %[x0], %[w0], %[acc] \n"                                                                          \
    "smlabt  %[acc], %[x1], %[w0], %[acc] \n"                                                                          \
    "smlabb  %[acc], %[x2], %[w1], %[acc] \n"                                                                          \
    "smlabt  %[acc], %[x3], %[w1], %[acc] \n"
    if (place % 4 == 0 || pairs[0]) {
        uint32_t q0, q1, w0, w1, x0, x1, x2, x3;
        __asm volatile("ldr     %[q0], [%[s]], #4            \n"
                       "ldr     %[q1], [%[s]], #4            \n"
                       "tst     %[n], #4                     \n"
                       "bne     2f                           \n"
                       "1:                                   \n" MP_FOUR_PAIRS
                       "2:                                   \n" MP_FOUR_PAIRS
                       "tst     %[q0], #255                  \n"
                       "bne     1b                           \n"
                       : [s] "+r"(pairs), [x] "+r"(x), [acc] "+r"(acc), [q0] "=&r"(q0), [q1] "=&r"(q1), [w0] "=&r"(w0),
                         [w1] "=&r"(w1), [x0] "=&r"(x0), [x1] "=&r"(x1), [x2] "=&r"(x2), [x3] "=&r"(x3)
                       : [n] "r"(place)
                       : "cc", "memory");
        pairs -= MP_GAP_AHEAD;
    }
#undef MP_FOUR_PAIRS
#endif
    *sum = acc;
    return pairs;
}

#endif
