/* sources: */
#include "mp_numerics.h"
#include "mp_test.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The sources' own formulas, in 64 bits. */

static int64_t naive_high_mul(int64_t a, int64_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    const int64_t product = a * b;
    return (product + (product >= 0 ? 1 << 30 : 1 - (1 << 30))) / (1ll << 31); /* gemmlowp, fixedpoint.h */
}

static int64_t naive_divide_by_pot(int64_t x, int exponent)
{
    const int64_t half = exponent > 0 ? 1ll << (exponent - 1) : 0, one = 1ll << exponent;
    return x >= 0 ? (x + half) / one : -((-x + half) / one); /* to nearest, halves away from zero */
}

static int64_t naive_single(int64_t x, int64_t mult, int shift)
{
    const int total = 31 - shift;
    const int64_t product = x * mult, size = product < 0 ? -product : product;
    const int64_t rounded = (int64_t)(((uint64_t)size + (1ull << (total - 1))) >> total);
    return product < 0 ? -rounded : rounded;
}

static const int32_t values[] = {0,          1,
                                 -1,         2,
                                 -2,         3,
                                 -3,         127,
                                 -128,       255,
                                 -256,       1 << 15,
                                 -(1 << 15), 99999999,
                                 -99999999,  1 << 30,
                                 -(1 << 30), (1 << 30) + 1,
                                 INT32_MAX,  INT32_MAX - 1,
                                 INT32_MIN,  INT32_MIN + 1};
static const int32_t multipliers[] = {0, 1 << 29, 1 << 30, (1 << 30) + 1, 1518500250, INT32_MAX - 1, INT32_MAX};

static void high_mul_equals_its_source(void)
{
    unsigned seed = 1;
    for (size_t i = 0; i < COUNT(values); i++) {
        for (size_t j = 0; j < COUNT(values); j++) {
            CHECK_EQUAL(mp_saturating_doubling_high_mul(values[i], values[j]), naive_high_mul(values[i], values[j]),
                        "%d * %d", values[i], values[j]);
        }
    }
    for (int i = 0; i < 200000; i++) {
        const int32_t a = (int32_t)mp_random(&seed), b = (int32_t)mp_random(&seed);
        CHECK_EQUAL(mp_saturating_doubling_high_mul(a, b), naive_high_mul(a, b), "%d * %d", a, b);
    }
    /* ties go up on both sides of zero */
    CHECK_EQUAL(mp_saturating_doubling_high_mul(1 << 30, 1), 1, "%s", "1/2");
    CHECK_EQUAL(mp_saturating_doubling_high_mul(-(1 << 30), 1), 0, "%s", "-1/2");
    CHECK_EQUAL(mp_saturating_doubling_high_mul(-(1 << 30), 3), -1, "%s", "-3/2");
}

static void divide_by_pot_rounds_halves_away(void)
{
    unsigned seed = 2;
    for (int exponent = 0; exponent <= 31; exponent++) {
        for (size_t i = 0; i < COUNT(values); i++) {
            CHECK_EQUAL(mp_rounding_divide_by_pot(values[i], exponent), naive_divide_by_pot(values[i], exponent),
                        "%d / 2^%d", values[i], exponent);
        }
        for (int i = 0; i < 10000; i++) {
            const int32_t x = (int32_t)mp_random(&seed);
            CHECK_EQUAL(mp_rounding_divide_by_pot(x, exponent), naive_divide_by_pot(x, exponent), "%d / 2^%d", x,
                        exponent);
        }
        for (int32_t odd = -3; odd <= 3 && exponent >= 1 && exponent <= 29; odd += 2) { /* ties */
            const int32_t x = odd * (1 << (exponent - 1));
            CHECK_EQUAL(mp_rounding_divide_by_pot(x, exponent), (odd + (odd > 0 ? 1 : -1)) / 2, "%d / 2^%d", x,
                        exponent);
        }
    }
}

static void requant_equals_two_roundings(void)
{
    unsigned seed = 3;
    for (int shift = -31; shift <= 30; shift++) {
        for (size_t m = 0; m < COUNT(multipliers); m++) {
            for (int i = 0; i < 2000; i++) {
                const int left = shift > 0 ? shift : 0;
                int32_t x = i < (int)COUNT(values) ? values[i] : (int32_t)mp_random(&seed);
                x >>= left; /* what the importer proves: x << left fits */
                const int64_t high = naive_high_mul((int64_t)x * (1ll << left), multipliers[m]);
                CHECK_EQUAL(mp_requant(x, multipliers[m], shift), naive_divide_by_pot(high, left - shift),
                            "requant(%d, %d, %d)", x, multipliers[m], shift);
            }
        }
    }
}

static void requant_single_rounds_halves_away(void)
{
    unsigned seed = 4;
    for (int shift = -31; shift <= 30; shift++) {
        for (size_t m = 0; m < COUNT(multipliers); m++) {
            for (int i = 0; i < 2000; i++) {
                const int left = shift > 0 ? shift : 0;
                int32_t x = i < (int)COUNT(values) ? values[i] : (int32_t)mp_random(&seed);
                x >>= left;
                CHECK_EQUAL(mp_requant_single(x, multipliers[m], shift), naive_single(x, multipliers[m], shift),
                            "requant_single(%d, %d, %d)", x, multipliers[m], shift);
            }
        }
    }
    for (int32_t x = -9; x <= 9; x += 2) { /* x / 2: ties only */
        CHECK_EQUAL(mp_requant_single(x, 1 << 30, 0), (x + (x > 0 ? 1 : -1)) / 2, "%d / 2", x);
    }
}

static void divide_rounds_halves_away(void)
{
    for (int32_t count = 1; count <= 130; count++) {
        for (int32_t sum = -1000; sum <= 1000; sum++) {
            const int32_t size = sum < 0 ? -sum : sum, rounded = (size + count / 2) / count;
            CHECK_EQUAL(mp_rounding_divide(sum, count), sum < 0 ? -rounded : rounded, "%d / %d", sum, count);
        }
    }
}

static void shifts_saturate_or_wrap(void)
{
    for (int shift = 0; shift <= 31; shift++) {
        for (size_t i = 0; i < COUNT(values); i++) {
            const int64_t exact = (int64_t)values[i] * (1ll << shift);
            const int64_t saturated = exact > INT32_MAX ? INT32_MAX : exact < INT32_MIN ? INT32_MIN : exact;
            CHECK_EQUAL(mp_saturating_shift_left(values[i], shift), saturated, "%d << %d", values[i], shift);
            CHECK_EQUAL((uint32_t)mp_shift_left(values[i], shift), (uint32_t)exact, "%d << %d", values[i], shift);
        }
    }
}

static void clamp_keeps_its_bounds(void)
{
    CHECK(mp_clamp(-129, -128, 127) == -128 && mp_clamp(128, -128, 127) == 127 && mp_clamp(5, -128, 127) == 5);
    CHECK(mp_clamp(7, 3, 3) == 3 && mp_clamp(INT32_MIN, -128, 127) == -128 && mp_clamp(INT32_MAX, -128, 127) == 127);
}

static void leading_zeros_at_each_bit(void)
{
    for (int bit = 0; bit < 32; bit++) {
        CHECK_EQUAL(mp_leading_zeros(1u << bit), 31 - bit, "bit %d", bit);
        CHECK_EQUAL(mp_leading_zeros((1u << bit) | 1u), 31 - bit, "bit %d", bit);
    }
}

/* exp and reciprocal are near the real functions; bit equality with the reference is the kernel tests' subject. */
static void exp_and_reciprocal_are_monotonic(void)
{
    int32_t last = -1;
    for (int64_t a = INT32_MIN; a <= 0; a += 65537) {
        const int32_t e = mp_exp_q5((int32_t)a);
        CHECK(e >= 0 && e >= last - 64);
        last = e;
    }
    CHECK(mp_exp_q5(0) == INT32_MAX);
    CHECK(mp_exp_q5(-(1 << 26)) > 790015084 - 1024 && mp_exp_q5(-(1 << 26)) < 790015084 + 1024); /* exp(-1) */
    CHECK_EQUAL(mp_reciprocal_one_plus_q0(0), INT32_MAX, "%s", "1 / 1");
    for (int64_t a = 0; a <= INT32_MAX; a += 65537) {
        const double exact = 2147483648.0 / (1.0 + (double)a / 2147483648.0);
        const double error = mp_reciprocal_one_plus_q0((int32_t)a) - exact;
        CHECK(error > -16 && error < 16);
    }
}

int main(void)
{
    high_mul_equals_its_source();
    divide_by_pot_rounds_halves_away();
    requant_equals_two_roundings();
    requant_single_rounds_halves_away();
    divide_rounds_halves_away();
    shifts_saturate_or_wrap();
    clamp_keeps_its_bounds();
    leading_zeros_at_each_bit();
    exp_and_reciprocal_are_monotonic();
    return 0;
}
