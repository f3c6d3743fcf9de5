/* tile8_armv6m.h: tiles of whole words for ARMv6-M, eight words a column.
 *
 * A core without a long multiplication has nothing to gain from lanes in one word: a lane of 16 bits holds a few
 * products only. A word holds twice the activation, so that sums come out doubled, as requantization wants them. */
#ifndef MCUPRUNE_TILE8_ARMV6M_H
#define MCUPRUNE_TILE8_ARMV6M_H

#include "tile8_s8.h"

enum { MP_TILE8_ARMV6M_WORDS = 8 };

/* Members of mp_tile8. */
void mp_tile8_pack_armv6m(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t pair, int32_t *tile);
void mp_tile8_store_armv6m(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to);

/* sum + a * b, wrapping: lanes of a short last tile hold anything. */
static inline int32_t mp_tile8_mla(int32_t sum, int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)sum + (uint32_t)a * (uint32_t)b);
}

/* Before a row: the 8 sums, r6..r12 and lr, hold twice the bias; r0 the stream, r1 the tile, r3 what `first` says.
 * On the stack: r8..r11 of the caller, then at 16 the entries left, a multiple of 8, and at 20 where sums go. Then
 * into the loop so that the entries beyond that multiple come first. r4 and r5 hold activations, r2 the weight. */
#define MP_TILE8_ENTER(first)                                                                                         \
    ".syntax unified\n"                                                                                               \
    "push {r2-r7, lr}\n"                                                                                              \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                                           \
    "push {r4-r7}\n"                                                                                                  \
    "ldr r6, [r2]\n"                                                                                                  \
    "ldrh r5, [r2, #10]\n"                                                                                            \
    "adds r6, r6\n"                                                                                                   \
    "mov r7, r6\n mov r8, r6\n mov r9, r6\n mov r10, r6\n mov r11, r6\n mov r12, r6\n mov lr, r6\n"                   \
    "movs r3, #7\n"                                                                                                   \
    "mov r4, r5\n"                                                                                                    \
    "ands r4, r3\n"                                                                                                   \
    "bics r5, r3\n"                                                                                                   \
    "str r5, [sp, #16]\n"                                                                                             \
    "movs r3, #" first "\n"                                                                                           \
    "adr r5, 1f\n"                                                                                                    \
    "ldrb r4, [r5, r4]\n"                                                                                             \
    "lsls r4, #1\n"                                                                                                   \
    "10: add pc, r4\n"

/* Behind that jump: `add pc` reads 4 more than its own address. */
#define MP_TILE8_LOOP(ENTRY)                                                                                          \
    ".balign 4\n"                                                                                                     \
    "1: .byte (9f - 10b) / 2 - 2, (8f - 10b) / 2 - 2, (7f - 10b) / 2 - 2, (6f - 10b) / 2 - 2\n"                       \
    ".byte (5f - 10b) / 2 - 2, (4f - 10b) / 2 - 2, (3f - 10b) / 2 - 2, (2f - 10b) / 2 - 2\n"                          \
    "0: " ENTRY "2: " ENTRY "3: " ENTRY "4: " ENTRY "5: " ENTRY "6: " ENTRY "7: " ENTRY "8: " ENTRY                   \
    "9: ldr r2, [sp, #16]\n"                                                                                          \
    "subs r2, #8\n"                                                                                                   \
    "str r2, [sp, #16]\n"                                                                                             \
    "bmi 1f\n"                                                                                                        \
    "b 0b\n"                                                                                                          \
    "1:\n"

/* 8 products: weight r2 times the 8 words at r1, which moves on. 20 instructions, 24 cycles with a multiplier of one
 * cycle. */
#define MP_TILE8_TWO(a, b)                                                                                            \
    "ldm r1!, {r4, r5}\n"                                                                                             \
    "muls r4, r2\n"                                                                                                   \
    "muls r5, r2\n"                                                                                                   \
    "add " a ", r4\n"                                                                                                 \
    "add " b ", r5\n"
#define MP_TILE8_PRODUCTS                                                                                             \
    MP_TILE8_TWO("r6", "r7") MP_TILE8_TWO("r8", "r9") MP_TILE8_TWO("r10", "r11") MP_TILE8_TWO("r12", "lr")

/* Behind a row: the sums; returns r0. */
#define MP_TILE8_LEAVE                                                                                                \
    "ldr r2, [sp, #20]\n"                                                                                             \
    "stm r2!, {r6, r7}\n"                                                                                             \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                                           \
    "stm r2!, {r4-r7}\n"                                                                                              \
    "mov r4, r12\n mov r5, lr\n"                                                                                      \
    "stm r2!, {r4, r5}\n"                                                                                             \
    "pop {r4-r7}\n"                                                                                                   \
    "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                                                           \
    "pop {r2-r7, pc}\n"

#endif
