/* Tiles of lane words: packing, and requantization by one 64-bit multiplication.
 *
 *   tile[4 * k + j] = x_2j[k] + (x_2j+1[k] << 23) */
#include "tile8_armv7m.h"

#include "mp_numerics.h"
#include "mp_simd.h"
#include "mp_thumb.h"

void mp_tile8_pack_armv7m(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t pair, int32_t *tile)
{
    tile += pair;
    for (uint32_t n = cols / 4; n > 0; n--, x0 += 4, x1 += 4, tile += 4 * MP_TILE8_ARMV7M_WORDS) {
        for (uint32_t i = 0; i < 4; i++)
            tile[i * MP_TILE8_ARMV7M_WORDS] = mp_lane_pack(x0[i], x1[i]);
    }
    for (uint32_t n = cols % 4; n > 0; n--, tile += MP_TILE8_ARMV7M_WORDS)
        *tile = mp_lane_pack(*x0++, *x1++);
}

#if MP_THUMB2

/* One byte: the high word of twice * mult, rounded by the carry, and half; its sign sends halves of the second
 * rounding away from zero (where the product rounds to 0, the -1 vanishes in the shift). 9 instructions, 13 to 15
 * cycles on a Cortex-M3. r0 sums, r1 right, r2 out, r4 stride, r5 mult, r6 half. */
#define BYTE                                                                                                          \
    "ldr r7, [r0], #4\n"                                                                                              \
    "smull r8, r9, r7, r5\n"                                                                                          \
    "lsls r8, r8, #1\n"                                                                                               \
    "adc r9, r9, r6\n"                                                                                                \
    "add r9, r9, r7, asr #31\n"                                                                                       \
    "asr r9, r9, r1\n"                                                                                                \
    "ssat r9, #8, r9\n"                                                                                               \
    "strb r9, [r2]\n"                                                                                                 \
    "add r2, r2, r4\n"

/* r3 bytes left, beyond those that the entry into the loop of four takes. */
MP_NAKED void mp_tile8_store_armv7m(MP_UNUSED const int32_t *sums, MP_UNUSED const mp_row *row, MP_UNUSED int8_t *out,
                                    MP_UNUSED const mp_tile8_out *to)
{
    __asm volatile("push {r4-r9}\n"
                   "ldr r6, [r3, #8]\n"  /* out_zp */
                   "ldrd r4, r3, [r3]\n" /* stride, count */
                   "ldr r5, [r1, #4]\n"
                   "ldrb r1, [r1, #8]\n"
                   "lsl r6, r6, r1\n"
                   "mov r7, #1\n"
                   "lsl r7, r7, r1\n"
                   "add r6, r6, r7, lsr #1\n"
                   "and r7, r3, #3\n"
                   "bic r3, r3, #3\n"
                   "tbb [pc, r7]\n"
                   "1: .byte (5f - 1b) / 2, (4f - 1b) / 2, (3f - 1b) / 2, (2f - 1b) / 2\n"
                   "0: " BYTE "2: " BYTE "3: " BYTE "4: " BYTE "5: subs r3, r3, #4\n"
                   "bpl 0b\n"
                   "pop {r4-r9}\n"
                   "bx lr\n");
}
#else
void mp_tile8_store_armv7m(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to)
{
    const int32_t right = row->right, half = (1 << (right - 1)) + mp_shift_left(to->out_zp, right);
    for (uint32_t i = 0; i < to->count; i++, out += to->stride) {
        const int32_t high = (int32_t)(((int64_t)sums[i] * row->mult + ((int64_t)1 << 31)) >> 32);
        *out = (int8_t)mp_clamp((high + half + (sums[i] >> 31)) >> right, INT8_MIN, INT8_MAX);
    }
}
#endif
