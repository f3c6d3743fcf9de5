/* Softmax, int16 to steps of 2^-15.
 *
 *   d[c]   = requant(in[c] - max(in), mult, shift), -65535 for -10;   e[c] = exp(d[c]) in steps of 2^-15, by table
 *   n      = bits of sum(e);   r = 2^(n - 1) / sum(e) in steps of 2^-15, by table
 *   out[c] = clamp((e[c] * r + 2^(n - 2)) >> (n - 1), 0, 32767)
 *
 * in, out: (rows, cols), cols <= 65535, apart; workspace: none. Source: SoftmaxInt16 in TensorFlow Lite,
 * reference/softmax.h. */
#include "lut_s16.h"
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static void softmax_row(const mp_softmax_s16 *op, const int16_t *in, int16_t *out)
{
    int32_t max = INT16_MIN, sum = 0;
    for (uint32_t c = 0; c < op->cols; c++)
        max = in[c] > max ? in[c] : max;
    for (uint32_t c = 0; c < op->cols; c++) { /* out holds e for a while */
        const int32_t d = mp_requant(in[c] - max, op->mult, op->shift) + INT16_MAX;
        out[c] = mp_look_up_s16(op->exp, mp_clamp(d, INT16_MIN, INT16_MAX));
        sum += out[c];
    }
    const int32_t headroom = mp_leading_zeros((uint32_t)sum) - 1, right = 30 - headroom;
    const int32_t shifted = (int32_t)((((uint32_t)sum << headroom) + (1u << 13)) >> 14) - (1 << 15) - (1 << 16);
    const int32_t inverse = mp_look_up_s16(op->reciprocal, mp_clamp(shifted, INT16_MIN, INT16_MAX));
    for (uint32_t c = 0; c < op->cols; c++)
        out[c] = (int16_t)mp_clamp((out[c] * inverse + (1 << (right - 1))) >> right, 0, INT16_MAX);
}

void mp_softmax_s16_ref(const mp_softmax_s16 *op, const int16_t *in, int16_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++)
        softmax_row(op, in + r * op->cols, out + r * op->cols);
}
