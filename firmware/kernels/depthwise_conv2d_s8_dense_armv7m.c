/* Depthwise convolution 3x3, int8, for ARMv7-M. Equals depthwise_conv2d_s8_dense_ref.c.
 *
 * in, out, weights: as in the reference. Preconditions and workspace: mcuprune_nn_armv7m.h. */
#include "depthwise3x3_s8.h"
#include "mp_thumb.h"
#include "tile8_armv7m.h"

size_t mp_depthwise_conv2d_s8_dense_armv7m_workspace(const mp_conv_shape *shape)
{
    return mp_depthwise3x3_workspace(shape);
}

#if MP_THUMB2

/* r0 plane, r1 and lr the sums of the two rows, r2 where they go, r3..r11 the weights, r12 an activation; on the
 * stack: the bias, the end of sums. A pair of rows: 12 or 15 loads and 18 MLA. */
#define ENTER                                                                                                         \
    "push {r4-r11, lr}\n"                                                                                             \
    "add r12, r2, r3, lsl #3\n"                                                                                       \
    "ldr lr, [r1, #36]\n"                                                                                             \
    "push {r12, lr}\n"                                                                                                \
    "ldm r1, {r3-r11}\n"
#define START                                                                                                         \
    "0: ldr r1, [sp, #4]\n"                                                                                           \
    "mov lr, r1\n"
#define LEAVE                                                                                                         \
    "ldr r12, [sp]\n"                                                                                                 \
    "stm r2!, {r1, lr}\n"                                                                                             \
    "cmp r2, r12\n"                                                                                                   \
    "bne 0b\n"                                                                                                        \
    "add sp, #8\n"                                                                                                    \
    "pop {r4-r11, pc}\n"
#define LOAD(at) "ldrsb r12, [r0, #" #at "]\n"
#define UPPER(w) "mla r1, r12, " #w ", r1\n"
#define LOWER(w) "mla lr, r12, " #w ", lr\n"
#define FIRST(a, b, c)                                                                                                \
    LOAD(a) UPPER(r3) LOAD(b) UPPER(r4) LOAD(c) UPPER(r5)

MP_NAKED static void column(MP_UNUSED const uint8_t *plane, MP_UNUSED const mp_taps3x3 *taps, MP_UNUSED int32_t *sums,
                            MP_UNUSED uint32_t pairs)
{
    __asm volatile(ENTER START FIRST(0, 4, 8)                                                               /* row 0 */
                   LOAD(64) UPPER(r6) LOWER(r3) LOAD(68) UPPER(r7) LOWER(r4) LOAD(72) UPPER(r8) LOWER(r5) /* row 1 */
                   "ldrsb r12, [r0, #128]!\n" UPPER(r9) LOWER(r6) /* row 2; the rest lies behind it */
                   LOAD(4) UPPER(r10) LOWER(r7) LOAD(8) UPPER(r11) LOWER(r8)
                   LOAD(64) LOWER(r9) LOAD(68) LOWER(r10) LOAD(72) LOWER(r11) LEAVE);
}

MP_NAKED static void column_stride2(MP_UNUSED const uint8_t *plane, MP_UNUSED const mp_taps3x3 *taps,
                                    MP_UNUSED int32_t *sums, MP_UNUSED uint32_t pairs)
{
    __asm volatile(ENTER START FIRST(0, 4, 8)                                                           /* row 0 */
                   LOAD(64) UPPER(r6) LOAD(68) UPPER(r7) LOAD(72) UPPER(r8)                           /* row 1 */
                   LOAD(128) UPPER(r9) LOWER(r3) LOAD(132) UPPER(r10) LOWER(r4) LOAD(136) UPPER(r11) LOWER(r5)
                   LOAD(192) LOWER(r6) LOAD(196) LOWER(r7) LOAD(200) LOWER(r8)                        /* row 3 */
                   LOAD(256) LOWER(r9) LOAD(260) LOWER(r10) LOAD(264) LOWER(r11) "add r0, #256\n" LEAVE);
}
#else
/* Bytes of the plane hold activations. */
static int32_t window(const uint8_t *plane, const mp_taps3x3 *taps)
{
    int32_t sum = taps->bias;
    for (int t = 0; t < 9; t++)
        sum += (int8_t)plane[t / 3 * MP_PLANE_PITCH + t % 3 * 4] * taps->weights[t];
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

void mp_depthwise_conv2d_s8_dense_armv7m(const mp_depthwise_conv2d_s8_rows *op, const int8_t *in, int8_t *out,
                                         void *workspace)
{
    static const mp_depthwise3x3 core = {0, column, column_stride2, mp_tile8_store_armv7m};
    mp_depthwise3x3_conv2d_s8(op, &core, in, out, workspace);
}
