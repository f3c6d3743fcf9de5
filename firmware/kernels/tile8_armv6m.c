/* Tiles of whole words: packing, and requantization without a long multiplication.
 *
 *   tile[8 * k + i] = 2 * x_i[k] */
#include "tile8_armv6m.h"

#include "mp_numerics.h"
#include "mp_thumb.h"

void mp_tile8_pack_armv6m(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t pair, int32_t *tile)
{
    tile += 2 * pair;
    for (uint32_t k = 0; k < cols; k++, tile += MP_TILE8_ARMV6M_WORDS) {
        tile[0] = 2 * x0[k];
        tile[1] = 2 * x1[k];
    }
}

#if MP_THUMB1

/* The high word of twice * mult from four products of halves, twice = 2^16 a + b, mult = 2^16 h + l (a signed):
 *
 *   twice * mult + 2^31 = 2^32 ah + 2^16 (al + bh + (bl >> 16) + 2^15) + what cannot carry
 *
 * K = 2^30 + 2^15 makes the middle sum positive (|al| < 2^29), so that it fits an unsigned word; 2^14 leaves it
 * behind the shift with `half`. 27 instructions a byte, 31 where it saturates.
 *
 * r0 sum, r1 b, r2 a, r3 result, r4 l, r5 h, r6 sums, r7 out; r8 stride, r9 half - 2^14, r10 K, r11 right, r12 end. */
MP_NAKED void mp_tile8_store_armv6m(MP_UNUSED const int32_t *sums, MP_UNUSED const mp_row *row, MP_UNUSED int8_t *out,
                                    MP_UNUSED const mp_tile8_out *to)
{
    __asm volatile(".syntax unified\n"
                   "push {r4-r7, lr}\n"
                   "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"
                   "push {r4-r7}\n"
                   "mov r6, r0\n"
                   "mov r7, r2\n"
                   "ldm r3!, {r0, r2, r4}\n" /* stride, count, out_zp */
                   "mov r8, r0\n"
                   "lsls r2, #2\n"
                   "adds r2, r6\n"
                   "mov r12, r2\n"
                   "ldrb r2, [r1, #8]\n" /* right */
                   "mov r11, r2\n"
                   "lsls r4, r2\n"
                   "movs r3, #1\n"
                   "lsls r3, r2\n"
                   "lsrs r3, #1\n"
                   "adds r4, r3\n"
                   "movs r3, #1\n"
                   "lsls r3, #14\n"
                   "subs r4, r3\n"
                   "mov r9, r4\n"
                   "lsls r4, r3, #1\n"
                   "lsls r3, #16\n"
                   "adds r3, r4\n"
                   "mov r10, r3\n"
                   "ldrh r4, [r1, #4]\n"
                   "ldrh r5, [r1, #6]\n"
                   "0: ldm r6!, {r0}\n"
                   "uxth r1, r0\n"
                   "asrs r2, r0, #16\n"
                   "mov r3, r1\n"
                   "muls r3, r4\n"
                   "lsrs r3, #16\n"
                   "muls r1, r5\n"
                   "adds r3, r1\n"
                   "mov r1, r2\n"
                   "muls r1, r4\n"
                   "adds r3, r1\n"
                   "add r3, r10\n"
                   "lsrs r3, #16\n"
                   "muls r2, r5\n"
                   "adds r3, r2\n"
                   "add r3, r9\n"
                   "asrs r0, #31\n" /* halves of the second rounding go away from zero */
                   "adds r3, r0\n"
                   "mov r1, r11\n"
                   "asrs r3, r1\n"
                   "sxtb r0, r3\n"
                   "cmp r0, r3\n"
                   "bne 2f\n"
                   "1: strb r0, [r7]\n"
                   "add r7, r8\n"
                   "cmp r6, r12\n"
                   "bne 0b\n"
                   "pop {r4-r7}\n"
                   "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
                   "pop {r4-r7, pc}\n"
                   "2: asrs r3, #31\n"
                   "movs r0, #127\n"
                   "eors r0, r3\n"
                   "b 1b\n");
}
#else
void mp_tile8_store_armv6m(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to)
{
    const int32_t right = row->right, half = (1 << (right - 1)) + mp_shift_left(to->out_zp, right);
    for (uint32_t i = 0; i < to->count; i++, out += to->stride) {
        const int32_t high = (int32_t)(((int64_t)sums[i] * row->mult + ((int64_t)1 << 31)) >> 32);
        *out = (int8_t)mp_clamp((high + half + (sums[i] >> 31)) >> right, INT8_MIN, INT8_MAX);
    }
}
#endif
