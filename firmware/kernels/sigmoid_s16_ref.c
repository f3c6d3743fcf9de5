/* Sigmoid and tanh, int16 to steps of 2^-15: tanh(x) = 2 * sigmoid(2 * x) - 1.
 *
 *   x = (in * mult + 2^(right - 1)) >> right;   (a, b) = entries of |x| >> bits and the next one;   bits: 9, tanh: 8
 *   y = a * 2^bits + (|x| mod 2^bits) * (b - a), in steps of 2^-16 / 2^bits;   of 255 entries and more the largest
 *   sigmoid: (y + 2^9) >> 10, or of 1 - y below zero;   tanh: (y - 2^23 + 2^7) >> 8, or of -y below zero
 *
 * in, out: `size` elements, may be the same; workspace: none. Source: Logistic and Tanh of int16 in TensorFlow Lite,
 * reference/integer_ops/logistic.h, tanh.h. */
#include "mcuprune_nn.h"
#include "sigmoid_table16.h"

void mp_sigmoid_s16_ref(const mp_sigmoid_s16 *op, const int16_t *in, int16_t *out)
{
    const int32_t half = op->right > 0 ? 1 << (op->right - 1) : 0;
    for (uint32_t i = 0; i < op->size; i++) {
        const int32_t x = (in[i] * op->mult + half) >> op->right;
        out[i] = (int16_t)(op->tanh ? mp_tanh_by_table16(x) : mp_sigmoid_by_table16(x));
    }
}
