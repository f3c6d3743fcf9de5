/* lanes_gap.h: the walk along a gap-coded row over a tile of lane words (mp_simd.h). */
#ifndef MCUPRUNE_LANES_GAP_H
#define MCUPRUNE_LANES_GAP_H

#include "mp_simd.h"

enum { MP_TILE_WORDS = 4 }; /* lane words of a column: 8 positions, 16 bytes */

/* sum[j] += row * word j of each column, over `count` pairs. tile: MP_TILE_WORDS words a column. Returns the next row's
 * pairs. */
#if MP_DSP

/* Registers: r4:r5 r6:r7 r8:r9 r10:r11 the four sums (low:high); r0 pairs; r1 their end; r2 the column's words; r3
 * weight; r12 lr activations, and before them the gap. The block saves and restores r4 to r11 itself: so it can be
 * compiled with a frame pointer, too.
 *
 * A pair: 9 instructions, 14 cycles for 8 products: LDRB and LDRSB side by side 3, ADD 1, twice LDRD 3 and two SMLAL 2.
 * Four pairs a turn; the first turn skips -count mod 4 of them. Cycles: Cortex-M4 TRM, DDI 0439, 3.3. */
static inline const uint8_t *mp_gap_row_lanes(const uint8_t *pairs, uint32_t count, const int32_t *tile, int64_t *sum)
{
#define MP_PAIR                                                                                                        \
    "ldrb   r12, [r0], #2        \n"                                                                                   \
    "ldrsb  r3, [r0, #-1]        \n"                                                                                   \
    "add    r2, r2, r12, lsl #4  \n"                                                                                   \
    "ldrd   r12, lr, [r2]        \n"                                                                                   \
    "smlal  r4, r5, r12, r3      \n"                                                                                   \
    "smlal  r6, r7, lr, r3       \n"                                                                                   \
    "ldrd   r12, lr, [r2, #8]    \n"                                                                                   \
    "smlal  r8, r9, r12, r3      \n"                                                                                   \
    "smlal  r10, r11, lr, r3     \n"
    if (count == 0) return pairs;
    register const uint8_t *r0 __asm("r0") = pairs;
    register const uint8_t *r1 __asm("r1") = pairs + 2 * count;
    register const int32_t *r2 __asm("r2") = tile;
    register int64_t *r3 __asm("r3") = sum;
    register uint32_t r12 __asm("r12") = -count % 4;
    __asm volatile("push   {r3-r11}             \n"
                   "ldm    r3, {r4-r11}         \n"
                   "tbb    [pc, r12]            \n"
                   "0: .byte (1f - 0b) / 2, (2f - 0b) / 2, (3f - 0b) / 2, (4f - 0b) / 2\n" /* halfwords to jump */
                   "1:                          \n" MP_PAIR
                   "2:                          \n" MP_PAIR
                   "3:                          \n" MP_PAIR
                   "4:                          \n" MP_PAIR
                   "cmp    r0, r1               \n"
                   "bne    1b                   \n"
                   "pop    {r3}                 \n"
                   "stm    r3, {r4-r11}         \n"
                   "pop    {r4-r11}             \n"
                   : "+r"(r0), "+r"(r2), "+r"(r3), "+r"(r12)
                   : "r"(r1)
                   : "lr", "cc", "memory");
#undef MP_PAIR
    return r0;
}

#else

static inline const uint8_t *mp_gap_row_lanes(const uint8_t *pairs, uint32_t count, const int32_t *tile, int64_t *sum)
{
    for (; count > 0; count--, pairs += 2) {
        tile += pairs[0] * MP_TILE_WORDS;
        for (int j = 0; j < MP_TILE_WORDS; j++)
            sum[j] = mp_smlal(sum[j], tile[j], (int8_t)pairs[1]);
    }
    return pairs;
}

#endif

/* The same for a tile of one word a column: a tail of one or two positions. */
static inline const uint8_t *mp_gap_row_lane(const uint8_t *pairs, uint32_t count, const int32_t *tile, int64_t *sum)
{
    int64_t total = *sum;
    for (const uint8_t *end = pairs + 2 * count; pairs != end; pairs += 2) {
        tile += pairs[0];
        total = mp_smlal(total, *tile, (int8_t)pairs[1]);
    }
    *sum = total;
    return pairs;
}

#endif
