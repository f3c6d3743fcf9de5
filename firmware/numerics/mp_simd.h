/* mp_simd.h: instructions of the DSP extension, each with a portable twin that computes the same, and lane words.
 *
 * MP_DSP is 1 where the core has the extension (Cortex-M4, M7, M33, ...); only this file asks the compiler for it.
 *
 * Lane words: two int8 activations in one int32, word = x0 + (x1 << 23). SMLAL adds w * word to a 64-bit sum, which
 * then holds acc0 + (acc1 << 23): two products an instruction. 23 is the largest shift, as -128 << 24 leaves no room
 * for a negative x0. The final |acc0| must be below 2^22; partial sums may be anything, the sum is exact. */
#ifndef MCUPRUNE_SIMD_H
#define MCUPRUNE_SIMD_H

#include <stdint.h>
#include <string.h>

#include "mp_thumb.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#define MP_DSP 1
#else
#define MP_DSP 0
#endif

enum { MP_LANE_SHIFT = 23 };

/* Two activations as a lane word. */
static inline int32_t mp_lane_pack(int8_t x0, int8_t x1)
{
    return x0 + (int32_t)((uint32_t)(int32_t)x1 << MP_LANE_SHIFT);
}

/* acc0 of a sum of lane words: its low 23 bits, signed. */
static inline int32_t mp_lane_low(int64_t sum)
{
    return (int32_t)((uint32_t)sum << (32 - MP_LANE_SHIFT)) >> (32 - MP_LANE_SHIFT);
}

/* acc1 of a sum of lane words: what is above, and the one that a negative acc0 borrowed, its bit 22. */
static inline int32_t mp_lane_high(int64_t sum)
{
    const uint32_t low = (uint32_t)sum >> (MP_LANE_SHIFT - 1);
    const uint32_t high = (uint32_t)((uint64_t)sum >> 32) << (32 - MP_LANE_SHIFT);
    return (int32_t)(high + (low >> 1) + (low & 1));
}

/* SMLAL: sum + a * b, 64 bits. */
static inline int64_t mp_smlal(int64_t sum, int32_t a, int32_t b) { return sum + (int64_t)a * b; }

/* SMMULR: a * b / 2^32, halves up. */
static inline int32_t mp_smmulr(int32_t a, int32_t b)
{
#if MP_DSP
    int32_t result;
    __asm("smmulr %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* SMMLAR: sum + a * b / 2^32, halves up; for results within 32 bits. */
static inline int32_t mp_smmlar(int32_t a, int32_t b, int32_t sum)
{
#if MP_DSP
    int32_t result;
    __asm("smmlar %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    return (int32_t)((((int64_t)a * b + ((int64_t)1 << 31)) >> 32) + sum);
#endif
}

/* Four int8 lanes, or two int16 lanes, as the word that lies at p, whatever its alignment; lowest address lowest. */
static inline uint32_t mp_load_word(const void *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline void mp_store_word(void *p, uint32_t word) { memcpy(p, &word, sizeof word); }

/* Two int16 lanes as a word: `low` in bits 0 to 15. Only the low half of each counts. */
static inline uint32_t mp_lanes16(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

static inline int32_t mp_low16(uint32_t x) { return (int16_t)x; }
static inline int32_t mp_high16(uint32_t x) { return (int16_t)(x >> 16); }

/* SXTB16: bytes 0 and 2, signed, as int16 lanes. */
static inline uint32_t mp_sxtb16(uint32_t x)
{
#if MP_DSP
    uint32_t result;
    __asm("sxtb16 %0, %1" : "=r"(result) : "r"(x));
    return result;
#else
    return mp_lanes16((int8_t)x, (int8_t)(x >> 16));
#endif
}

/* SXTB16 of x rotated: bytes 1 and 3, signed, as int16 lanes. */
static inline uint32_t mp_sxtb16_odd(uint32_t x)
{
#if MP_DSP
    uint32_t result;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(result) : "r"(x));
    return result;
#else
    return mp_lanes16((int8_t)(x >> 8), (int8_t)(x >> 24));
#endif
}

/* UXTB16: bytes 0 and 2 as int16 lanes; of x rotated: bytes 1 and 3. */
static inline uint32_t mp_uxtb16(uint32_t x) { return x & 0x00ff00ffu; }
static inline uint32_t mp_uxtb16_odd(uint32_t x) { return x >> 8 & 0x00ff00ffu; }

/* SXTAB16: int16 lanes plus bytes 0 and 2 of x, signed; each wraps. */
static inline uint32_t mp_sxtab16(uint32_t sum, uint32_t x)
{
#if MP_DSP
    uint32_t result;
    __asm("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sum), "r"(x));
    return result;
#else
    return mp_lanes16(mp_low16(sum) + (int8_t)x, mp_high16(sum) + (int8_t)(x >> 16));
#endif
}

/* SXTAB16 of x rotated: plus bytes 1 and 3. */
static inline uint32_t mp_sxtab16_odd(uint32_t sum, uint32_t x)
{
#if MP_DSP
    uint32_t result;
    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(result) : "r"(sum), "r"(x));
    return result;
#else
    return mp_sxtab16(sum, x >> 8);
#endif
}

/* SSUB8 and SEL: the larger of each pair of int8 lanes. */
static inline uint32_t mp_max_s8x4(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
#else
    uint32_t result = 0;
    for (int i = 0; i < 32; i += 8) {
        const int8_t x = (int8_t)(a >> i), y = (int8_t)(b >> i);
        result |= (uint32_t)(uint8_t)(x > y ? x : y) << i;
    }
    return result;
#endif
}

/* PKHBT: the low half of a below the low half of b. */
static inline uint32_t mp_pkhbt(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (a & 0xffffu) | b << 16;
#endif
}

/* PKHTB: the high half of a below the high half of b. */
static inline uint32_t mp_pkhtb(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(result) : "r"(b), "r"(a));
    return result;
#else
    return (b & 0xffff0000u) | a >> 16;
#endif
}

/* SADD16: sums of int16 lanes, each wraps. */
static inline uint32_t mp_sadd16(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("sadd16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b) : "cc");
    return result;
#else
    return mp_lanes16(mp_low16(a) + mp_low16(b), mp_high16(a) + mp_high16(b));
#endif
}

/* SSUB16: differences of int16 lanes, each wraps. */
static inline uint32_t mp_ssub16(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("ssub16 %0, %1, %2" : "=r"(result) : "r"(a), "r"(b) : "cc");
    return result;
#else
    return mp_lanes16(mp_low16(a) - mp_low16(b), mp_high16(a) - mp_high16(b));
#endif
}

/* SMMLA: c + a * b / 2^32, rounded down. */
static inline int32_t mp_smmla(int32_t a, int32_t b, int32_t c)
{
#if MP_DSP
    int32_t result;
    __asm("smmla %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
#else
    return (int32_t)(c + (((int64_t)a * b) >> 32));
#endif
}

/* PKHBT as it is: the low half of a below the high half of b, which stay where they are. */
static inline uint32_t mp_low_high(uint32_t a, uint32_t b)
{
#if MP_DSP
    uint32_t result;
    __asm("pkhbt %0, %1, %2" : "=r"(result) : "r"(a), "r"(b));
    return result;
#else
    return (a & 0xffffu) | (b & 0xffff0000u);
#endif
}

/* SMLAD: sum + low a * low b + high a * high b over int16 lanes, modulo 2^32. */
static inline int32_t mp_smlad(uint32_t a, uint32_t b, int32_t sum)
{
#if MP_DSP
    int32_t result;
    __asm("smlad %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));
    return result;
#else
    const uint32_t low = (uint32_t)(mp_low16(a) * mp_low16(b)), high = (uint32_t)(mp_high16(a) * mp_high16(b));
    return (int32_t)((uint32_t)sum + low + high);
#endif
}

/* CLZ: zeros above the highest 1; 32 for 0. */
static inline uint32_t mp_clz(uint32_t x)
{
#if MP_DSP
    uint32_t result;
    __asm("clz %0, %1" : "=r"(result) : "r"(x));
    return result;
#else
    uint32_t n = 0;
    while (n < 32 && !(x >> (31 - n)))
        n++;
    return n;
#endif
}

/* Four bytes of any alignment as a word, the first one highest. */
static inline uint32_t mp_load_be32(const uint8_t *x)
{
#if MP_DSP
    uint32_t word;
    memcpy(&word, x, sizeof word);
    __asm("rev %0, %0" : "+r"(word));
    return word;
#else
    return (uint32_t)x[0] << 24 | (uint32_t)x[1] << 16 | (uint32_t)x[2] << 8 | x[3];
#endif
}

/* SSAT #8: x clamped to int8. */
static inline int8_t mp_ssat_s8(int32_t x)
{
#if MP_DSP
    __asm("ssat %0, #8, %1" : "=r"(x) : "r"(x) : "cc");
    return (int8_t)x;
#else
    return (int8_t)(x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x);
#endif
}

#endif
