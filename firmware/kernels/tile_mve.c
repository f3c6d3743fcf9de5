/* Sums of a tile of positions turned into output, four channels at a time; see tile_mve.h. */
#include "tile_mve.h"

#include "im2col_s8.h"

static inline void copy(int8_t *to, const int8_t *from, uint32_t n)
{
    for (uint32_t vectors = n / 16; vectors > 0; vectors--, to += 16, from += 16)
        mp_store_s8x16(to, mp_load_s8x16(from));
    if (n % 16) mp_store_s8x16_part(to, mp_load_s8x16_part(from, n % 16), n % 16);
}

void mp_copy_mve(int8_t *to, const int8_t *from, uint32_t n)
{
    copy(to, from, n);
}

static inline void fill(int8_t *to, mp_s8x16 v, uint32_t n)
{
    for (; n > 16; n -= 16, to += 16)
        mp_store_s8x16(to, v);
    mp_store_s8x16_part(to, v, n);
}

/* How many of `kernel` columns from x on lie before column 0. */
static inline int32_t before(int32_t x, int32_t kernel)
{
    return x >= 0 ? 0 : -x < kernel ? -x : kernel;
}

void mp_column_mve(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *column)
{
    if (shape->dilation_w != 1) {
        mp_im2col_s8(shape, in, position, column);
        return;
    }
    const int32_t in_h = shape->in_h, in_w = shape->in_w, kernel_w = shape->kernel_w;
    const int32_t x = (int32_t)(position % shape->out_w) * shape->stride_w - shape->pad_left;
    int32_t y = (int32_t)(position / shape->out_w) * shape->stride_h - shape->pad_top;
    const uint32_t ch = shape->in_ch, row_bytes = (uint32_t)kernel_w * ch;
    const uint32_t left = (uint32_t)before(x, kernel_w) * ch;
    const uint32_t right = (uint32_t)before(in_w - x - kernel_w, kernel_w) * ch;
    const mp_s8x16 pad = mp_fill_s8x16(shape->pad_value);
    const int8_t *end = column + shape->kernel_h * row_bytes;
    const uint32_t middle = left + right < row_bytes ? row_bytes - left - right : 0;
    const int8_t *from = in + (y * in_w + x) * (int32_t)ch + (int32_t)left;
    const int32_t next = shape->dilation_h * in_w * (int32_t)ch;
    if (left + right == 0 && y >= 0 && y + (shape->kernel_h - 1) * shape->dilation_h < in_h) {
        for (; column != end; column += row_bytes, from += next)
            copy(column, from, row_bytes);
        return;
    }
    for (; column != end; column += row_bytes, y += shape->dilation_h, from += next) {
        if (y < 0 || y >= in_h) {
            fill(column, pad, row_bytes);
            continue;
        }
        if (middle > 0) copy(column + left, from, middle);
        if (left > 0) fill(column, pad, left);
        if (right > 0) fill(column + row_bytes - right, pad, right);
    }
}

/* Rows of four at four positions. */
typedef struct {
    int8_t *out[MP_TILE_POSITIONS];
    const int32_t *bias, *mult;
    const int8_t *shift;
    int32_t zp, low, high;
    const int32_t *sums;
    uint32_t count; /* groups of four rows, not 0 */
    uint32_t pitch; /* sums of a row */
} quads;

#if MP_MVE

/* r1..r4 outputs, r5 bias, r6 mult, r7 shift, r8 zp, r9 low, r10 high, r11 sums, lr groups left
 * q0 bias, q1 mult, q2 shift, q3 low, q4 high, q5 addresses of the sums of four rows at the first position, q6 q7 work
 * `away`: takes 1 from what is negative. Instructions: 37 for 16 outputs, 45 with `away`. */
#define QUADS(away)                                                                            \
    "push {r4-r11, lr}\n"                                                                      \
    "vpush {d8-d15}\n"                                                                         \
    "ldm r0, {r1-r12}\n"                                                                       \
    "ldr r0, [r0, #48]\n"                                                                      \
    "vdup.32 q3, r9\n"                                                                         \
    "vdup.32 q4, r10\n"                                                                        \
    "mov r10, #0\n"                                                                            \
    "vidup.u32 q5, r10, #4\n"                                                                  \
    "vmul.i32 q5, q5, r0\n"                                                                    \
    "lsl r9, r0, #4\n"                                                                         \
    "vadd.i32 q5, q5, r11\n"                                                                   \
    "dls lr, r12\n"                                                                            \
    "1: vldrw.32 q0, [r5], #16\n"                                                              \
    "vldrw.32 q1, [r6], #16\n"                                                                 \
    "vldrb.s32 q2, [r7], #4\n"                                                                 \
    POSITION("0", "r1", away) POSITION("4", "r2", away)                                        \
    POSITION("8", "r3", away) POSITION("12", "r4", away)                                       \
    "vadd.i32 q5, q5, r9\n"                                                                    \
    "le lr, 1b\n"                                                                              \
    "vpop {d8-d15}\n"                                                                          \
    "pop {r4-r11, pc}\n"

#define POSITION(at, out, away)                                                                \
    "vldrw.u32 q6, [q5, #" at "]\n"                                                            \
    "vadd.i32 q6, q6, q0\n"                                                                    \
    "vqrdmulh.s32 q6, q6, q1\n" away                                                           \
    "vrshl.s32 q6, q6, q2\n"                                                                   \
    "vadd.i32 q6, q6, r8\n"                                                                    \
    "vmax.s32 q6, q6, q3\n"                                                                    \
    "vmin.s32 q6, q6, q4\n"                                                                    \
    "vstrb.32 q6, [" out "], #4\n"

MP_NAKED static void quads_right(MP_UNUSED const quads *a)
{
    __asm(QUADS("vshr.s32 q7, q6, #31\n"
                "vadd.i32 q6, q6, q7\n"));
}

MP_NAKED static void quads_clamped(MP_UNUSED const quads *a)
{
    __asm(QUADS(""));
}

#else

static void quads_rounded(const quads *a, mp_rounding rounding)
{
    const mp_output to = {a->zp, mp_fill_s32x4(a->low), mp_fill_s32x4(a->high)};
    for (uint32_t i = 0; i < 4 * a->count; i += 4) {
        const mp_rescale_s32x4 q = {mp_load_s32x4(a->bias + i), mp_load_s32x4(a->mult + i),
                                    mp_load_s8_s32x4(a->shift + i)};
        for (uint32_t p = 0; p < MP_TILE_POSITIONS; p++) {
            const mp_s32x4 v = mp_load_apart_s32x4(a->sums + i * a->pitch + p, a->pitch);
            mp_store_low_s8(a->out[p] + i, mp_rescale_lanes(v, &q, &to, rounding));
        }
    }
}

static void quads_right(const quads *a) { quads_rounded(a, MP_ROUND_RIGHT); }
static void quads_clamped(const quads *a) { quads_rounded(a, MP_ROUND_CLAMPED); }

#endif

void mp_rescale_tile_mve(const mp_rescale *r, mp_rounding rounding, uint32_t row, uint32_t rows, const int32_t *sums,
                         uint32_t pitch, int8_t *const *out)
{
    if (rounding != MP_ROUND_ANY && rows >= 4) {
        const quads a = {.out = {out[0] + row, out[1] + row, out[2] + row, out[3] + row},
                         .bias = r->bias + row,
                         .mult = r->mult + row,
                         .shift = r->shift + row,
                         .zp = r->out_zp,
                         .low = r->act_min,
                         .high = r->act_max,
                         .sums = sums,
                         .count = rows / 4,
                         .pitch = pitch};
        if (rounding == MP_ROUND_CLAMPED) {
            quads_clamped(&a);
        } else {
            quads_right(&a);
        }
        row += 4 * a.count, rows -= 4 * a.count, sums += 4 * a.count * pitch;
    }
    const mp_output to = mp_output_of(r);
    for (uint32_t i = 0; i < rows; i += 4) {
        const uint32_t n = rows - i < 4 ? rows - i : 4;
        const mp_rescale_s32x4 q = mp_load_rescale(r, row + i, n);
        for (uint32_t p = 0; p < MP_TILE_POSITIONS; p++) {
            const mp_s32x4 v = mp_load_apart_s32x4(sums + i * pitch + p, pitch);
            mp_store_lanes(out[p] + row + i, mp_rescale_lanes(v, &q, &to, MP_ROUND_ANY), n);
        }
    }
}

void mp_rescale_row_mve(const mp_rescale *r, uint32_t row, uint32_t rows, const int32_t *sums, int8_t *out)
{
    const mp_output to = mp_output_of(r);
    for (uint32_t i = 0; i < rows; i += 4) {
        const uint32_t n = rows - i < 4 ? rows - i : 4;
        const mp_rescale_s32x4 q = mp_load_rescale(r, row + i, n);
        const mp_s32x4 v = mp_load_s32x4_part(sums + i, n);
        mp_store_lanes(out + row + i, mp_rescale_lanes(v, &q, &to, MP_ROUND_ANY), n);
    }
}
