/* tile8_armv7m.h: tiles of lane words (mp_simd.h) for ARMv7-M, four words a column.
 *
 * SMLAL takes 4 to 7 cycles on a Cortex-M3, by its operands, and MLA 2. Even so 8 products take about as many cycles
 * by 4 SMLAL (25 to 37 with loads, skip and weight) as by 8 MLA over whole words (32), or by 4 MLA over lanes of 16
 * bits, which must be split and added up after each 255 of sum|w| (30 where a weight is 78 on average); and they take 9
 * instructions instead of 14. */
#ifndef MCUPRUNE_TILE8_ARMV7M_H
#define MCUPRUNE_TILE8_ARMV7M_H

#include "tile8_s8.h"

enum { MP_TILE8_ARMV7M_WORDS = 4 };

/* Members of mp_tile8. */
void mp_tile8_pack_armv7m(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t pair, int32_t *tile);
void mp_tile8_store_armv7m(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to);

/* r0 the job, which moves to the stack: stream, tile at 4, row at 8, end at 12, last at 16, and mp_tile8_out at 20.
 * Then, before a row: four 64-bit sums in r6:r7, r8:r9, r10:r11, r12:lr = bias + (bias << 23); r0 the stream, r1 the
 * tile, r3 entries left. */
#define MP_TILE8_ENTER                                                                                                \
    "push {r3-r11, lr}\n"                                                                                             \
    "ldm r0, {r0-r7}\n"                                                                                               \
    "push {r0-r7}\n"                                                                                                  \
    "20: ldr r2, [sp, #8]\n"                                                                                          \
    "ldr r1, [sp, #4]\n"                                                                                              \
    "ldr r4, [r2]\n"      /* bias */                                                                                  \
    "ldrh r3, [r2, #10]\n" /* count */                                                                                \
    "mov r5, #0x800000\n"                                                                                             \
    "add r5, r5, #1\n"                                                                                                \
    "smull r6, r7, r4, r5\n"                                                                                          \
    "mov r8, r6\n mov r9, r7\n mov r10, r6\n mov r11, r7\n mov r12, r6\n mov lr, r7\n"

/* One lane word pair: low = 2 * acc0, high = 2 * acc1. acc0 is the low 23 bits, signed: its sign, the last bit shifted
 * out, was borrowed from acc1. */
#define MP_TILE8_SPLIT(low, high)                                                                                     \
    "lsrs r3, " low ", #23\n"                                                                                         \
    "adc " high ", r3, " high ", lsl #9\n"                                                                            \
    "lsl " low ", " low ", #9\n"                                                                                      \
    "asr " low ", " low ", #8\n"                                                                                      \
    "lsl " high ", " high ", #1\n"

/* One byte, as in tile8_armv7m.c; a product has the sign of its sum. r0 scratch, r1 mult, r2 half, r3 right, r4 out, r5
 * stride. */
#define MP_TILE8_BYTE(sum)                                                                                            \
    "smull r0, " sum ", " sum ", r1\n"                                                                                \
    "add " sum ", " sum ", " sum ", asr #31\n"                                                                        \
    "lsls r0, r0, #1\n"                                                                                               \
    "adc " sum ", " sum ", r2\n"                                                                                      \
    "asr " sum ", " sum ", r3\n"                                                                                      \
    "ssat " sum ", #8, " sum "\n"                                                                                     \
    "strb " sum ", [r4]\n"                                                                                            \
    "sub r4, r4, r5\n"

/* Behind a row: its sums, split and doubled, become bytes, from the last position back; rows of odd shifts call C. */
#define MP_TILE8_LEAVE                                                                                                \
    MP_TILE8_SPLIT("r6", "r7")                                                                                        \
    MP_TILE8_SPLIT("r8", "r9")                                                                                        \
    MP_TILE8_SPLIT("r10", "r11")                                                                                      \
    MP_TILE8_SPLIT("r12", "lr")                                                                                       \
    "str r0, [sp]\n"                                                                                                  \
    "ldr r0, [sp, #8]\n"                                                                                              \
    "ldrd r4, r5, [sp, #16]\n" /* last, stride */                                                                     \
    "ldrb r3, [r0, #8]\n"      /* right */                                                                            \
    "ldrb r1, [r0, #9]\n"      /* flags */                                                                            \
    "lsls r1, r1, #29\n"                                                                                              \
    "bmi 21f\n"                                                                                                       \
    "ldr r1, [r0, #4]\n"  /* mult */                                                                                  \
    "ldr r2, [sp, #28]\n" /* out_zp */                                                                                \
    "mov r0, #1\n"                                                                                                    \
    "lsl r2, r2, r3\n"                                                                                                \
    "lsl r0, r0, r3\n"                                                                                                \
    "add r2, r2, r0, lsr #1\n" /* half */                                                                             \
    "ldr r0, [sp, #24]\n"      /* count */                                                                            \
    "tbb [pc, r0]\n"                                                                                                  \
    "10: .byte 0, (11f - 10b) / 2, (12f - 10b) / 2, (13f - 10b) / 2, (14f - 10b) / 2\n"                               \
    ".byte (15f - 10b) / 2, (16f - 10b) / 2, (17f - 10b) / 2, (18f - 10b) / 2\n"                                      \
    ".balign 2\n"                                                                                                     \
    "18: " MP_TILE8_BYTE("lr") "17: " MP_TILE8_BYTE("r12") "16: " MP_TILE8_BYTE("r11") "15: " MP_TILE8_BYTE("r10")    \
    "14: " MP_TILE8_BYTE("r9") "13: " MP_TILE8_BYTE("r8") "12: " MP_TILE8_BYTE("r7") "11: " MP_TILE8_BYTE("r6")       \
    "22: ldrd r2, r3, [sp, #8]\n"                                                                                     \
    "ldr r0, [sp]\n"                                                                                                  \
    "ldr r4, [sp, #16]\n"                                                                                             \
    "add r2, r2, #12\n"                                                                                               \
    "add r4, r4, #1\n"                                                                                                \
    "str r2, [sp, #8]\n"                                                                                              \
    "str r4, [sp, #16]\n"                                                                                             \
    "cmp r2, r3\n"                                                                                                    \
    "bne 20b\n"                                                                                                       \
    "add sp, #32\n"                                                                                                   \
    "pop {r3-r11, pc}\n"                                                                                              \
    "21: push {r6-r12, lr}\n" /* sums */                                                                              \
    "mov r1, r0\n"                                                                                                    \
    "ldr r2, [sp, #56]\n" /* count */                                                                                 \
    "sub r2, r2, #1\n"                                                                                                \
    "mls r2, r2, r5, r4\n"                                                                                            \
    "mov r0, sp\n"                                                                                                    \
    "add r3, sp, #52\n"                                                                                               \
    "bl mp_tile8_store_plain\n"                                                                                       \
    "add sp, #32\n"                                                                                                   \
    "b 22b\n"

/* 8 products: weight r2 times the four words at r1, which moves on. 6 instructions; M3: 2 * (1 + 2) + 4 * (4 to 7)
 * cycles, M4: 10. */
#define MP_TILE8_PRODUCTS                                                                                             \
    "ldm r1!, {r4, r5}\n"                                                                                             \
    "smlal r6, r7, r2, r4\n"                                                                                          \
    "smlal r8, r9, r2, r5\n"                                                                                          \
    "ldm r1!, {r4, r5}\n"                                                                                             \
    "smlal r10, r11, r2, r4\n"                                                                                        \
    "smlal r12, lr, r2, r5\n"

/* r3 times ENTRY, in a loop of 8 that is entered so that what is left is a multiple of 8. */
#define MP_TILE8_LOOP(ENTRY)                                                                                          \
    "and r4, r3, #7\n"                                                                                                \
    "bic r3, r3, #7\n"                                                                                                \
    "tbb [pc, r4]\n"                                                                                                  \
    "1: .byte (9f - 1b) / 2, (8f - 1b) / 2, (7f - 1b) / 2, (6f - 1b) / 2\n"                                           \
    ".byte (5f - 1b) / 2, (4f - 1b) / 2, (3f - 1b) / 2, (2f - 1b) / 2\n"                                              \
    "0: " ENTRY "2: " ENTRY "3: " ENTRY "4: " ENTRY "5: " ENTRY "6: " ENTRY "7: " ENTRY "8: " ENTRY                   \
    "9: subs r3, r3, #8\n"                                                                                            \
    "bpl 0b\n"

#endif
