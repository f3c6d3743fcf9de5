/* Fully-connected layer over dense rows, int8, for cores with the DSP extension. Equals fully_connected_s8_dense_ref.c.
 *
 * A word holds four weights of a row, in its bytes w0 + 128, w1, w2 + 128, w3. As int16 lanes it is w0 + 128 + 256 *
 * w1 and w2 + 128 + 256 * w3, so that SMLAD of the word as it lies takes w0 and w2, and one of its odd bytes w1 and
 * w3:
 *
 *   sum over j of w_j * x_j = SMLAD(word, (x0, x2)) + SMLAD((w1, w3), (x1 - 256 * x0 - 128, x3 - 256 * x2 - 128))
 *                             + 128 * (w1 + w3) - 128 * (x0 + x2)
 *
 * The last but one term lies in the bias, the last one is the same for all rows. Lanes do not overflow, sums may wrap.
 *
 * Workspace: the activations as these pairs of words, 8 bytes for each four columns. */
#include "clamp_s8.h"
#include "mp_simd.h"
#include "rescale_s8.h"

enum { ROWS = 4 };

static uint32_t words(const mp_fc_shape *shape) { return (shape->cols + 3) / 4; }

size_t mp_fully_connected_s8_dense_dsp_workspace(const mp_fc_shape *shape) { return 8 * words(shape); }

/* Unpacks a row of activations; returns 128 times the sum of those in even columns, modulo 2^32. */
__attribute__((noinline)) static int32_t unpack(const int8_t *in, uint32_t cols, uint32_t *x)
{
    int32_t even = 0;
#pragma GCC unroll 1
    for (const uint32_t *end = x + (cols + 3) / 4 * 2; x != end; in += 4, x += 2) {
        uint32_t bytes = 0;
        if (x + 2 != end || cols % 4 == 0) {
            bytes = mp_load_word(in);
        } else {
            memcpy(&bytes, in, cols % 4);
        }
        x[0] = mp_sxtb16(bytes);
        x[1] = mp_ssub16(mp_ssub16(mp_sxtb16_odd(bytes), bytes << 8 & 0xff00ff00u), 0x00800080u);
        even = mp_smlad(x[0], 0x00010001u, even);
    }
    return mp_shift_left(even, 7);
}

/* sum[i] += row i * x over `count` words of each of four rows; those of one place lie side by side. */
#if MP_DSP

/* Registers: r0 weights; r1 activations, lr their end; r4 r5 r6 r8 sums; r9 to r12 weights; r2 r3 activations. 16
 * products: 20 cycles. Four turns unrolled; the first round skips -count mod 4 of them. */
static inline void dot_4(const uint32_t *weights, const uint32_t *x, uint32_t count, int32_t *sum)
{
#define MP_ROW(sum, w)                                                                                                 \
    "smlad  " sum ", " w ", r2, " sum "  \n"                                                                           \
    "sxtb16 " w ", " w ", ror #8         \n"                                                                           \
    "smlad  " sum ", " w ", r3, " sum "  \n"
#define MP_TURN                                                                                                        \
    "ldm    r0!, {r9-r12}        \n"                                                                                   \
    "ldm    r1!, {r2, r3}        \n" MP_ROW("r4", "r9") MP_ROW("r5", "r10") MP_ROW("r6", "r11") MP_ROW("r8", "r12")
    register const uint32_t *r0 __asm("r0") = weights;
    register const uint32_t *r1 __asm("r1") = x;
    register uint32_t r2 __asm("r2") = -count % 4;
    register int32_t r4 __asm("r4") = sum[0];
    register int32_t r5 __asm("r5") = sum[1];
    register int32_t r6 __asm("r6") = sum[2];
    register int32_t r8 __asm("r8") = sum[3];
    register const uint32_t *lr __asm("lr") = x + 2 * count;
    __asm volatile("tbb    [pc, r2]             \n"
                   "0: .byte (1f - 0b) / 2, (2f - 0b) / 2, (3f - 0b) / 2, (4f - 0b) / 2\n" /* halfwords to jump */
                   "1:                          \n" MP_TURN
                   "2:                          \n" MP_TURN
                   "3:                          \n" MP_TURN
                   "4:                          \n" MP_TURN
                   "cmp    r1, lr               \n"
                   "bne    1b                   \n"
                   : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r4), "+r"(r5), "+r"(r6), "+r"(r8)
                   : "r"(lr)
                   : "r3", "r9", "r10", "r11", "r12", "cc", "memory");
    sum[0] = r4, sum[1] = r5, sum[2] = r6, sum[3] = r8;
#undef MP_TURN
#undef MP_ROW
}

#else

static void dot_4(const uint32_t *weights, const uint32_t *x, uint32_t count, int32_t *sum)
{
    for (; count > 0; count--, x += 2) {
        for (uint32_t i = 0; i < ROWS; i++, weights++)
            sum[i] = mp_smlad(mp_sxtb16_odd(*weights), x[1], mp_smlad(*weights, x[0], sum[i]));
    }
}

#endif

/* a - b modulo 2^32. */
static inline int32_t minus(int32_t a, int32_t b) { return (int32_t)((uint32_t)a - (uint32_t)b); }

static int32_t dot(const uint32_t *weights, const uint32_t *x, uint32_t count, int32_t sum)
{
#pragma GCC unroll 2
    for (const uint32_t *end = weights + count; weights != end; weights++, x += 2)
        sum = mp_smlad(mp_sxtb16_odd(*weights), x[1], mp_smlad(*weights, x[0], sum));
    return sum;
}

/* round(acc * mult / 2^(31 + right)) for right >= 2, halves away from zero: the lower word of the sum that is rounded
 * holds nothing but the sign. */
static inline int32_t scale_once(int32_t acc, int32_t mult, int32_t right)
{
    const int32_t sign = acc >> 31;
    const int64_t start = ((int64_t)((1 << (right - 2)) + sign) << 32) + (uint32_t)sign;
    return (int32_t)((start + (int64_t)acc * mult) >> 32) >> (right - 1);
}

/* Output bytes of rows o to o + count - 1. */
__attribute__((noinline)) static void rescale(const mp_fully_connected_s8_dsp *op, uint32_t o, uint32_t count,
                                              const int32_t *sum, int8_t *out)
{
    const mp_rescale *r = &op->rescale;
    if (!op->shape.single_rounding) {
#pragma GCC unroll 1
        for (const int32_t *end = sum + count; sum != end; o++)
            *out++ = mp_rescale_s8(r, o, *sum++);
        return;
    }
    const int32_t *mult = r->mult + o, out_zp = r->out_zp;
    const int8_t *shift = r->shift + o;
#pragma GCC unroll 1
    for (const int32_t *end = sum + count; sum != end;)
        *out++ = mp_ssat_s8(scale_once(*sum++, *mult++, -*shift++) + out_zp);
}

void mp_fully_connected_s8_dense_dsp(const mp_fully_connected_s8_dsp *op, const int8_t *in, int8_t *out,
                                     void *workspace)
{
    const uint32_t rows = op->shape.rows, cols = op->shape.cols, count = words(&op->shape);
    for (uint32_t b = 0; b < op->shape.batches; b++, in += cols, out += rows) {
        const uint32_t *weights = op->weights;
        const int32_t less = unpack(in, cols, workspace), *bias = op->rescale.bias;
        uint32_t o = 0;
        for (; o + ROWS <= rows; o += ROWS, weights += ROWS * count) {
            int32_t sum[ROWS] = {minus(bias[o], less), minus(bias[o + 1], less), minus(bias[o + 2], less),
                                 minus(bias[o + 3], less)};
            dot_4(weights, workspace, count, sum);
            rescale(op, o, ROWS, sum, out + o);
        }
        for (; o < rows; o++, weights += count) {
            const int32_t sum = dot(weights, workspace, count, minus(bias[o], less));
            rescale(op, o, 1, &sum, out + o);
        }
        mp_clamp_range(out, rows, op->rescale.act_min, op->rescale.act_max);
    }
}
