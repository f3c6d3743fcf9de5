/* Depthwise convolution 3x3, int8, for ARMv6-M. Equals depthwise_conv2d_s8_dense_ref.c.
 *
 * in, out, weights: as in the reference. Preconditions and workspace: mcuprune_nn_armv6m.h. */
#include "depthwise3x3_s8.h"
#include "mp_thumb.h"
#include "tile8_armv6m.h"

size_t mp_depthwise_conv2d_s8_dense_armv6m_workspace(const mp_conv_shape *shape)
{
    return mp_depthwise3x3_workspace(shape);
}

#if MP_THUMB1

/* r0 plane, r5 and r6 the sums of the two rows, r2 where they go, r3 an activation, r4 a product, r7 pairs left;
 * weights 0 to 5 in r8..r12 and lr, 6 to 8 and the bias on the stack. A pair of rows: 12 or 15 loads, 18 products of
 * three instructions. */
#define ENTER                                                                                                         \
    ".syntax unified\n"                                                                                               \
    "push {r4-r7, lr}\n"                                                                                              \
    "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n"                                                           \
    "push {r4-r7}\n"                                                                                                  \
    "mov r7, r3\n"                                                                                                    \
    "ldm r1!, {r3-r6}\n"                                                                                              \
    "mov r8, r3\n mov r9, r4\n mov r10, r5\n mov r11, r6\n"                                                           \
    "ldm r1!, {r3-r6}\n"                                                                                              \
    "mov r12, r3\n mov lr, r4\n"                                                                                      \
    "ldm r1!, {r3, r4}\n"                                                                                             \
    "push {r3-r6}\n" /* weight 8, bias, weights 6 and 7 */                                                            \
    "0: ldr r5, [sp, #4]\n"                                                                                           \
    "mov r6, r5\n"
#define LEAVE                                                                                                         \
    "stm r2!, {r5, r6}\n"                                                                                             \
    "subs r7, #1\n"                                                                                                   \
    "bne 0b\n"                                                                                                        \
    "add sp, #16\n"                                                                                                   \
    "pop {r4-r7}\n"                                                                                                   \
    "mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"                                                           \
    "pop {r4-r7, pc}\n"
#define LOAD(at) "ldrb r3, [r0, #" #at "]\n"
#define DOWN "adds r0, #64\n"
#define W0 "mov r4, r8\n"
#define W1 "mov r4, r9\n"
#define W2 "mov r4, r10\n"
#define W3 "mov r4, r11\n"
#define W4 "mov r4, r12\n"
#define W5 "mov r4, lr\n"
#define W6 "ldr r4, [sp, #8]\n"
#define W7 "ldr r4, [sp, #12]\n"
#define W8 "ldr r4, [sp]\n"
#define UPPER(w) w "muls r4, r3\n adds r5, r4\n"
#define LOWER(w) w "muls r4, r3\n adds r6, r4\n"

MP_NAKED static void column(MP_UNUSED const uint8_t *plane, MP_UNUSED const mp_taps3x3 *taps, MP_UNUSED int32_t *sums,
                            MP_UNUSED uint32_t pairs)
{
    __asm volatile(ENTER LOAD(0) UPPER(W0) LOAD(4) UPPER(W1) LOAD(8) UPPER(W2) DOWN
                   LOAD(0) UPPER(W3) LOWER(W0) LOAD(4) UPPER(W4) LOWER(W1) LOAD(8) UPPER(W5) LOWER(W2) DOWN
                   LOAD(0) UPPER(W6) LOWER(W3) LOAD(4) UPPER(W7) LOWER(W4) LOAD(8) UPPER(W8) LOWER(W5) DOWN
                   LOAD(0) LOWER(W6) LOAD(4) LOWER(W7) LOAD(8) LOWER(W8) "subs r0, #64\n" LEAVE);
}

MP_NAKED static void column_stride2(MP_UNUSED const uint8_t *plane, MP_UNUSED const mp_taps3x3 *taps,
                                    MP_UNUSED int32_t *sums, MP_UNUSED uint32_t pairs)
{
    __asm volatile(ENTER LOAD(0) UPPER(W0) LOAD(4) UPPER(W1) LOAD(8) UPPER(W2) DOWN
                   LOAD(0) UPPER(W3) LOAD(4) UPPER(W4) LOAD(8) UPPER(W5) DOWN
                   LOAD(0) UPPER(W6) LOWER(W0) LOAD(4) UPPER(W7) LOWER(W1) LOAD(8) UPPER(W8) LOWER(W2) DOWN
                   LOAD(0) LOWER(W3) LOAD(4) LOWER(W4) LOAD(8) LOWER(W5) DOWN
                   LOAD(0) LOWER(W6) LOAD(4) LOWER(W7) LOAD(8) LOWER(W8) LEAVE);
}
#else
/* Bytes of the plane hold activation + 128. */
static int32_t window(const uint8_t *plane, const mp_taps3x3 *taps)
{
    int32_t sum = taps->bias;
    for (int t = 0; t < 9; t++)
        sum += plane[t / 3 * MP_PLANE_PITCH + t % 3 * 4] * taps->weights[t];
    return sum;
}

static void column(const uint8_t *plane, const mp_taps3x3 *taps, int32_t *sums, uint32_t pairs)
{
    for (uint32_t i = 0; i < 2 * pairs; i++)
        sums[i] = window(plane + i * MP_PLANE_PITCH, taps);
}

static void column_stride2(const uint8_t *plane, const mp_taps3x3 *taps, int32_t *sums, uint32_t pairs)
{
    for (uint32_t i = 0; i < 2 * pairs; i++)
        sums[i] = window(plane + 2 * i * MP_PLANE_PITCH, taps);
}
#endif

void mp_depthwise_conv2d_s8_dense_armv6m(const mp_depthwise_conv2d_s8_rows *op, const int8_t *in, int8_t *out,
                                         void *workspace)
{
    static const mp_depthwise3x3 core = {0x80808080u, column, column_stride2, mp_tile8_store_armv6m};
    mp_depthwise3x3_conv2d_s8(op, &core, in, out, workspace);
}
