/* Logarithm of softmax over rows, int8. Reference: the other variants equal it bit for bit.
 *
 *   out[r][c] = clamp(16 * (x[c] - max - log(sum of exp(x - max))) + 127, -128, 127),   x = in * in_scale
 *
 * in fixed point: docs/numerics.md. in, out: (rows, cols), apart; workspace: none. */
#include "mcuprune_nn.h"
#include "mp_numerics.h"

static int32_t mul(int32_t a, int32_t b) { return mp_saturating_doubling_high_mul(a, b); }

static int32_t saturated(int64_t x) { return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x; }

/* log(x) for x >= 1, Q12 to Q5. log_x_for_x_greater_than_or_equal_to_1_impl: x = r * 2^power, r near sqrt(sqrt(1/2)). */
static int32_t log_q12(int32_t x)
{
    const int32_t log_2 = 1488522236, sqrt_half = 1518500250, sqrt_sqrt_half = 1805811301;
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769, alpha_f = 638450708;
    const int32_t quarter = 1 << 23; /* Q6, as powers are */
    const int32_t zeros_a = mp_leading_zeros((uint32_t)x);
    const int32_t r_a = mp_saturating_shift_left(mul(mp_saturating_shift_left(x, zeros_a - 1), sqrt_half), 1);
    const int32_t power_a = saturated((int64_t)mp_saturating_shift_left(12 - zeros_a, 25) + quarter);
    const int32_t zeros_b = mp_leading_zeros((uint32_t)mul(x, sqrt_half)) - 1;
    const int32_t r_b = mp_saturating_shift_left(x, zeros_b);
    const int32_t power_b = saturated((int64_t)mp_saturating_shift_left(12 - zeros_b, 25) - quarter);
    const int32_t r = r_a < r_b ? r_a : r_b, power = power_a > power_b ? power_a : power_b;
    const int32_t p = (int32_t)(((int64_t)r + sqrt_sqrt_half + 1) / 2);
    const int32_t q = 2 * (r - sqrt_sqrt_half), square = mul(q, q);
    const int32_t numerator = mul(q, r) + mul(mul(q, square), alpha_n);
    const int32_t denominator = mul(p, alpha_i + q + mul(alpha_d, square)) + mul(alpha_f, q); /* less 1 */
    const int32_t fraction = mul(mp_rounding_divide_by_pot(numerator, 6), mp_reciprocal_one_plus_q0(denominator));
    return mp_saturating_shift_left(mul(power, log_2) + fraction, 1);
}

static int32_t largest(const int8_t *x, uint32_t count)
{
    int32_t max = INT8_MIN;
    for (uint32_t i = 0; i < count; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

void mp_log_softmax_s8_ref(const mp_log_softmax_s8 *op, const int8_t *in, int8_t *out)
{
    for (uint32_t r = 0; r < op->rows; r++, in += op->cols, out += op->cols) {
        const int32_t max = largest(in, op->cols);
        int32_t sum = 0; /* Q12 */
        for (uint32_t c = 0; c < op->cols; c++) {
            if (in[c] - max >= op->diff_min)
                sum += mp_rounding_divide_by_pot(mp_exp_q5(mp_requant(in[c] - max, op->mult, op->shift)), 12);
        }
        const int32_t log_sum = log_q12(sum);
        const int32_t reach = mp_requant(log_sum + INT32_MIN, op->reverse_mult, op->reverse_shift);
        const int32_t below = reach > op->diff_min - 1 ? reach : op->diff_min - 1;
        for (uint32_t c = 0; c < op->cols; c++) {
            int32_t value = INT8_MIN;
            if (in[c] - max > below)
                value = mp_rounding_divide_by_pot(mp_requant(in[c] - max, op->mult, op->shift) - log_sum, 22) + 127;
            out[c] = (int8_t)mp_clamp(value, INT8_MIN, INT8_MAX);
        }
    }
}
