/* mp_mve.h: vectors of the MVE extension (Helium), each operation with a portable twin that computes the same.
 *
 * MP_MVE is 1 where the core has the integer vectors (Cortex-M55, M85, ...); only this file asks the compiler for it.
 * `_part` operations touch the first n lanes of memory only; lanes that are not read are 0. Sums wrap. */
#ifndef MCUPRUNE_MVE_H
#define MCUPRUNE_MVE_H

#include <stdint.h>

#include "mp_thumb.h"

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define MP_MVE 1
#include <arm_mve.h>
typedef int8x16_t mp_s8x16;
typedef int32x4_t mp_s32x4;
typedef uint8x16_t mp_u8x16;
typedef int16x8_t mp_s16x8;
typedef uint16x8_t mp_u16x8;
#else
#define MP_MVE 0
typedef struct {
    int8_t lane[16];
} mp_s8x16;
typedef struct {
    int32_t lane[4];
} mp_s32x4;
typedef struct {
    uint8_t lane[16];
} mp_u8x16;
typedef struct {
    int16_t lane[8];
} mp_s16x8;
typedef struct {
    uint16_t lane[8];
} mp_u16x8;
#endif

#if MP_MVE

static inline mp_s8x16 mp_load_s8x16(const int8_t *p) { return vldrbq_s8(p); }
static inline mp_s8x16 mp_load_s8x16_part(const int8_t *p, uint32_t n) { return vldrbq_z_s8(p, vctp8q(n)); }
static inline mp_s8x16 mp_fill_s8x16(int8_t x) { return vdupq_n_s8(x); }
static inline void mp_store_s8x16(int8_t *p, mp_s8x16 v) { vstrbq_s8(p, v); }
static inline void mp_store_s8x16_part(int8_t *p, mp_s8x16 v, uint32_t n) { vstrbq_p_s8(p, v, vctp8q(n)); }

static inline mp_s8x16 mp_gather_s8x16_part(const int8_t *p, mp_u8x16 at, uint32_t n)
{
    return vldrbq_gather_offset_z_s8(p, at, vctp8q(n));
}
static inline mp_u8x16 mp_load_u8x16(const uint8_t *p) { return vldrbq_u8(p); }

/* int8 in lanes of 16 bits, and their low bytes to p + at[0], p + at[1], ...; at is 0, pitch, 2 * pitch, ... */
static inline mp_s16x8 mp_load_s8_s16x8(const int8_t *p) { return vldrbq_s16(p); }
static inline mp_s16x8 mp_load_s8_s16x8_part(const int8_t *p, uint32_t n) { return vldrbq_z_s16(p, vctp16q(n)); }
static inline mp_s16x8 mp_fill_s16x8(int16_t x) { return vdupq_n_s16(x); }
static inline mp_s16x8 mp_add_s16x8(mp_s16x8 a, mp_s16x8 b) { return vaddq_s16(a, b); }
static inline void mp_store_s16x8(int16_t *p, mp_s16x8 v) { vstrhq_s16(p, v); }
static inline mp_u16x8 mp_offsets_u16x8(uint16_t pitch) { return vmulq_n_u16(vidupq_n_u16(0, 1), pitch); }
static inline void mp_scatter_low_s8(int8_t *p, mp_u16x8 at, mp_s16x8 v) { vstrbq_scatter_offset_s16(p, at, v); }

/* VMLADAV, VMLADAVA: the sum of 16 products. */
static inline int32_t mp_dot_s8x16(mp_s8x16 a, mp_s8x16 b) { return vmladavq_s8(a, b); }
static inline int32_t mp_dot_add_s8x16(int32_t sum, mp_s8x16 a, mp_s8x16 b) { return vmladavaq_s8(sum, a, b); }

static inline mp_s32x4 mp_load_s32x4(const int32_t *p) { return vldrwq_s32(p); }
static inline mp_s32x4 mp_load_s32x4_part(const int32_t *p, uint32_t n) { return vldrwq_z_s32(p, vctp32q(n)); }
static inline mp_s32x4 mp_load_s8_s32x4(const int8_t *p) { return vldrbq_s32(p); }
static inline mp_s32x4 mp_load_s8_s32x4_part(const int8_t *p, uint32_t n) { return vldrbq_z_s32(p, vctp32q(n)); }
static inline void mp_store_low_s8(int8_t *p, mp_s32x4 v) { vstrbq_s32(p, v); }
static inline void mp_store_low_s8_part(int8_t *p, mp_s32x4 v, uint32_t n) { vstrbq_p_s32(p, v, vctp32q(n)); }

/* p[0], p[pitch], p[2 * pitch], p[3 * pitch]. */
static inline mp_s32x4 mp_load_apart_s32x4(const int32_t *p, uint32_t pitch)
{
    return vldrwq_gather_offset_s32(p, vmulq_n_u32(vidupq_n_u32(0, 4), pitch));
}

static inline mp_s32x4 mp_make_s32x4(int32_t a, int32_t b, int32_t c, int32_t d) { return (mp_s32x4){a, b, c, d}; }
static inline mp_s32x4 mp_fill_s32x4(int32_t x) { return vdupq_n_s32(x); }
static inline mp_s32x4 mp_add_s32x4(mp_s32x4 a, mp_s32x4 b) { return vaddq_s32(a, b); }
static inline mp_s32x4 mp_add_n_s32x4(mp_s32x4 a, int32_t b) { return vaddq_n_s32(a, b); }
static inline mp_s32x4 mp_and_s32x4(mp_s32x4 a, mp_s32x4 b) { return vandq_s32(a, b); }
static inline mp_s32x4 mp_max_s32x4(mp_s32x4 a, mp_s32x4 b) { return vmaxq_s32(a, b); }
static inline mp_s32x4 mp_min_s32x4(mp_s32x4 a, mp_s32x4 b) { return vminq_s32(a, b); }
static inline mp_s32x4 mp_sign_s32x4(mp_s32x4 a) { return vshrq_n_s32(a, 31); }

/* VQRDMULH: a * b / 2^31, halves up; not both -2^31. */
static inline mp_s32x4 mp_doubling_high_mul_s32x4(mp_s32x4 a, mp_s32x4 b) { return vqrdmulhq_s32(a, b); }

static inline mp_s32x4 mp_doubling_high_mul_n_s32x4(mp_s32x4 a, int32_t b) { return vqrdmulhq_n_s32(a, b); }

/* a + n where a is negative. */
static inline mp_s32x4 mp_add_to_negative_s32x4(mp_s32x4 a, int32_t n)
{
    return vaddq_m_n_s32(a, a, n, vcmpltq_n_s32(a, 0));
}

/* VSHL: a * 2^shift, shift in 0..31. VRSHL: a * 2^shift, shift in -31..0, halves up. */
static inline mp_s32x4 mp_shift_left_s32x4(mp_s32x4 a, mp_s32x4 shift) { return vshlq_s32(a, shift); }
static inline mp_s32x4 mp_rounding_shift_s32x4(mp_s32x4 a, mp_s32x4 shift) { return vrshlq_s32(a, shift); }
static inline mp_s32x4 mp_shift_left_n_s32x4(mp_s32x4 a, int32_t shift) { return vshlq_r_s32(a, shift); }
static inline mp_s32x4 mp_rounding_shift_n_s32x4(mp_s32x4 a, int32_t shift) { return vrshlq_n_s32(a, shift); }

#else

static inline mp_s8x16 mp_load_s8x16_part(const int8_t *p, uint32_t n)
{
    mp_s8x16 v = {{0}};
    for (uint32_t i = 0; i < 16 && i < n; i++)
        v.lane[i] = p[i];
    return v;
}

static inline mp_s8x16 mp_load_s8x16(const int8_t *p) { return mp_load_s8x16_part(p, 16); }

static inline mp_s8x16 mp_fill_s8x16(int8_t x)
{
    mp_s8x16 v;
    for (uint32_t i = 0; i < 16; i++)
        v.lane[i] = x;
    return v;
}

static inline void mp_store_s8x16_part(int8_t *p, mp_s8x16 v, uint32_t n)
{
    for (uint32_t i = 0; i < 16 && i < n; i++)
        p[i] = v.lane[i];
}

static inline void mp_store_s8x16(int8_t *p, mp_s8x16 v) { mp_store_s8x16_part(p, v, 16); }

static inline mp_s16x8 mp_load_s8_s16x8_part(const int8_t *p, uint32_t n)
{
    mp_s16x8 v = {{0}};
    for (uint32_t i = 0; i < 8 && i < n; i++)
        v.lane[i] = p[i];
    return v;
}

static inline mp_s16x8 mp_fill_s16x8(int16_t x)
{
    mp_s16x8 v;
    for (uint32_t i = 0; i < 8; i++)
        v.lane[i] = x;
    return v;
}

static inline mp_s16x8 mp_load_s8_s16x8(const int8_t *p) { return mp_load_s8_s16x8_part(p, 8); }

static inline mp_s16x8 mp_add_s16x8(mp_s16x8 a, mp_s16x8 b)
{
    for (uint32_t i = 0; i < 8; i++)
        a.lane[i] = (int16_t)(a.lane[i] + b.lane[i]);
    return a;
}

static inline void mp_store_s16x8(int16_t *p, mp_s16x8 v)
{
    for (uint32_t i = 0; i < 8; i++)
        p[i] = v.lane[i];
}

static inline mp_u16x8 mp_offsets_u16x8(uint16_t pitch)
{
    mp_u16x8 v;
    for (uint32_t i = 0; i < 8; i++)
        v.lane[i] = (uint16_t)(i * pitch);
    return v;
}

static inline void mp_scatter_low_s8(int8_t *p, mp_u16x8 at, mp_s16x8 v)
{
    for (uint32_t i = 0; i < 8; i++)
        p[at.lane[i]] = (int8_t)v.lane[i];
}

static inline mp_s8x16 mp_gather_s8x16_part(const int8_t *p, mp_u8x16 at, uint32_t n)
{
    mp_s8x16 v = {{0}};
    for (uint32_t i = 0; i < 16 && i < n; i++)
        v.lane[i] = p[at.lane[i]];
    return v;
}

static inline mp_u8x16 mp_load_u8x16(const uint8_t *p)
{
    mp_u8x16 v;
    for (uint32_t i = 0; i < 16; i++)
        v.lane[i] = p[i];
    return v;
}

static inline int32_t mp_dot_add_s8x16(int32_t sum, mp_s8x16 a, mp_s8x16 b)
{
    for (uint32_t i = 0; i < 16; i++)
        sum = (int32_t)((uint32_t)sum + (uint32_t)(a.lane[i] * b.lane[i]));
    return sum;
}

static inline int32_t mp_dot_s8x16(mp_s8x16 a, mp_s8x16 b) { return mp_dot_add_s8x16(0, a, b); }

static inline mp_s32x4 mp_load_s32x4_part(const int32_t *p, uint32_t n)
{
    mp_s32x4 v = {{0}};
    for (uint32_t i = 0; i < 4 && i < n; i++)
        v.lane[i] = p[i];
    return v;
}

static inline mp_s32x4 mp_load_s32x4(const int32_t *p) { return mp_load_s32x4_part(p, 4); }

static inline mp_s32x4 mp_load_s8_s32x4_part(const int8_t *p, uint32_t n)
{
    mp_s32x4 v = {{0}};
    for (uint32_t i = 0; i < 4 && i < n; i++)
        v.lane[i] = p[i];
    return v;
}

static inline mp_s32x4 mp_load_s8_s32x4(const int8_t *p) { return mp_load_s8_s32x4_part(p, 4); }

static inline void mp_store_low_s8_part(int8_t *p, mp_s32x4 v, uint32_t n)
{
    for (uint32_t i = 0; i < 4 && i < n; i++)
        p[i] = (int8_t)v.lane[i];
}

static inline void mp_store_low_s8(int8_t *p, mp_s32x4 v) { mp_store_low_s8_part(p, v, 4); }

static inline mp_s32x4 mp_make_s32x4(int32_t a, int32_t b, int32_t c, int32_t d) { return (mp_s32x4){{a, b, c, d}}; }
static inline mp_s32x4 mp_fill_s32x4(int32_t x) { return mp_make_s32x4(x, x, x, x); }

static inline mp_s32x4 mp_load_apart_s32x4(const int32_t *p, uint32_t pitch)
{
    return mp_make_s32x4(p[0], p[pitch], p[2 * pitch], p[3 * pitch]);
}

#define MP_LANES(result, expression)   \
    mp_s32x4 result;                   \
    for (uint32_t i = 0; i < 4; i++)   \
        result.lane[i] = (expression); \
    return result

static inline mp_s32x4 mp_add_s32x4(mp_s32x4 a, mp_s32x4 b)
{
    MP_LANES(v, (int32_t)((uint32_t)a.lane[i] + (uint32_t)b.lane[i]));
}

static inline mp_s32x4 mp_add_n_s32x4(mp_s32x4 a, int32_t b) { return mp_add_s32x4(a, mp_fill_s32x4(b)); }
static inline mp_s32x4 mp_and_s32x4(mp_s32x4 a, mp_s32x4 b) { MP_LANES(v, a.lane[i] & b.lane[i]); }
static inline mp_s32x4 mp_max_s32x4(mp_s32x4 a, mp_s32x4 b)
{
    MP_LANES(v, a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline mp_s32x4 mp_min_s32x4(mp_s32x4 a, mp_s32x4 b)
{
    MP_LANES(v, a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]);
}
static inline mp_s32x4 mp_sign_s32x4(mp_s32x4 a) { MP_LANES(v, a.lane[i] >> 31); }

static inline mp_s32x4 mp_doubling_high_mul_s32x4(mp_s32x4 a, mp_s32x4 b)
{
    MP_LANES(v, (int32_t)(((int64_t)a.lane[i] * b.lane[i] + (1 << 30)) >> 31));
}

static inline mp_s32x4 mp_shift_left_s32x4(mp_s32x4 a, mp_s32x4 shift)
{
    MP_LANES(v, (int32_t)((uint32_t)a.lane[i] << shift.lane[i]));
}

static inline mp_s32x4 mp_rounding_shift_s32x4(mp_s32x4 a, mp_s32x4 shift)
{
    MP_LANES(v, (int32_t)(((int64_t)a.lane[i] + (((int64_t)1 << -shift.lane[i]) >> 1)) >> -shift.lane[i]));
}

static inline mp_s32x4 mp_add_to_negative_s32x4(mp_s32x4 a, int32_t n)
{
    MP_LANES(v, a.lane[i] + (a.lane[i] < 0 ? n : 0));
}

static inline mp_s32x4 mp_doubling_high_mul_n_s32x4(mp_s32x4 a, int32_t b)
{
    return mp_doubling_high_mul_s32x4(a, mp_fill_s32x4(b));
}

static inline mp_s32x4 mp_shift_left_n_s32x4(mp_s32x4 a, int32_t shift)
{
    return mp_shift_left_s32x4(a, mp_fill_s32x4(shift));
}

static inline mp_s32x4 mp_rounding_shift_n_s32x4(mp_s32x4 a, int32_t shift)
{
    return mp_rounding_shift_s32x4(a, mp_fill_s32x4(shift));
}

#undef MP_LANES

#endif

#endif
