/* Tiles of lane words: see conv_lanes.h. */
#include "conv_lanes.h"

#include "mp_simd.h"

#if MP_DSP
#define MP_KEEP_LOOP __asm volatile("") /* and do not make a call of it */
#else
#define MP_KEEP_LOOP (void)0
#endif

/* tile[4 * k] = x0[k] + (x1[k] << 23) */
static void pack_pair(const int8_t *x0, const int8_t *x1, uint32_t cols, int32_t *tile)
{
#if MP_DSP /* four columns, 17 cycles: loads that stand side by side take one each */
    for (const int8_t *end = x0 + (cols & ~3u); x0 != end;) {
        int32_t a0, a1, a2, a3, b0, b1, b2, b3;
        __asm volatile("ldrsb  %[a0], [%[x0]], #1            \n"
                       "ldrsb  %[b0], [%[x1]], #1            \n"
                       "ldrsb  %[a1], [%[x0]], #1            \n"
                       "ldrsb  %[b1], [%[x1]], #1            \n"
                       "ldrsb  %[a2], [%[x0]], #1            \n"
                       "ldrsb  %[b2], [%[x1]], #1            \n"
                       "ldrsb  %[a3], [%[x0]], #1            \n"
                       "ldrsb  %[b3], [%[x1]], #1            \n"
                       "add    %[a0], %[a0], %[b0], lsl #23  \n"
                       "add    %[a1], %[a1], %[b1], lsl #23  \n"
                       "add    %[a2], %[a2], %[b2], lsl #23  \n"
                       "add    %[a3], %[a3], %[b3], lsl #23  \n"
                       "str    %[a0], [%[tile]], #16         \n"
                       "str    %[a1], [%[tile]], #16         \n"
                       "str    %[a2], [%[tile]], #16         \n"
                       "str    %[a3], [%[tile]], #16         \n"
                       : [x0] "+r"(x0), [x1] "+r"(x1), [tile] "+r"(tile), [a0] "=&r"(a0), [a1] "=&r"(a1),
                         [a2] "=&r"(a2), [a3] "=&r"(a3), [b0] "=&r"(b0), [b1] "=&r"(b1), [b2] "=&r"(b2), [b3] "=&r"(b3)
                       :
                       : "memory");
    }
    cols %= 4;
#endif
    for (; cols > 0; cols--, tile += MP_TILE_WORDS)
        *tile = mp_lane_pack(*x0++, *x1++);
}

/* Copies `count` bytes, or repeats one where step is 0: mostly a few, for which a call would cost more. */
static inline int8_t *put(int8_t *to, const int8_t *from, int32_t step, int32_t count)
{
    for (int8_t *end = to + count; to < end; from += step) {
        *to++ = *from;
        MP_KEEP_LOOP;
    }
    return to;
}

/* Corner of a position's window. whole: its rows are in one piece where they are inside of the input. */
typedef struct {
    int32_t y, x;
    int whole;
} corner;

static corner corner_of(const mp_conv_shape *shape, uint32_t position)
{
    const int32_t oy = (int32_t)(position / shape->out_w), ox = (int32_t)(position - (uint32_t)oy * shape->out_w);
    corner c = {oy * shape->stride_h - shape->pad_top, ox * shape->stride_w - shape->pad_left, 0};
    c.whole = shape->dilation_w == 1 && c.x >= 0 && c.x + shape->kernel_w <= shape->in_w;
    return c;
}

/* Where row `down` of a window lies in the input, NULL where it is not there in one piece. */
static inline const int8_t *row_inside(const mp_conv_shape *shape, const int8_t *in, const corner *c, int32_t down)
{
    const int32_t y = c->y + down;
    if (!c->whole || y < 0 || y >= shape->in_h) return NULL;
    return in + (y * shape->in_w + c->x) * shape->in_ch;
}

/* Row `down` of a window, in `row`. */
static void gather_row(const mp_conv_shape *shape, const int8_t *in, const corner *c, int32_t down, int8_t *row)
{
    const int32_t ch = shape->in_ch, step = shape->dilation_w, in_w = shape->in_w, y = c->y + down;
    const int outside = y < 0 || y >= shape->in_h;
    int32_t left = shape->kernel_w;
    for (int32_t x = c->x; left > 0; left--, x += step) {
        if (outside || x < 0 || x >= in_w) {
            row = put(row, &shape->pad_value, 0, ch);
        } else {
            row = put(row, in + (y * in_w + x) * ch, 1, ch);
        }
    }
}

/* A pair of positions row by row of their windows; the row of a pointwise one is its column. */
static void pack_windows(const mp_conv_shape *shape, const int8_t *in, const corner *a, const corner *b, int32_t *tile,
                         int8_t *rows)
{
    const uint32_t row_bytes = (uint32_t)shape->kernel_w * shape->in_ch;
    const int32_t bottom = shape->kernel_h * shape->dilation_h;
    for (int32_t down = 0; down != bottom; down += shape->dilation_h, tile += MP_TILE_WORDS * row_bytes) {
        const int8_t *x0 = row_inside(shape, in, a, down);
        if (!x0) gather_row(shape, in, a, down, rows), x0 = rows;
        const int8_t *x1 = row_inside(shape, in, b, down);
        if (!x1) gather_row(shape, in, b, down, rows + row_bytes), x1 = rows + row_bytes;
        pack_pair(x0, x1, row_bytes, tile);
    }
}

void mp_pack_lanes(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t count, int32_t *tile,
                   int8_t *rows)
{
    for (uint32_t j = 0; j < count; j += 2, tile++) {
        const corner a = corner_of(shape, position + j), b = j + 1 < count ? corner_of(shape, position + j + 1) : a;
        pack_windows(shape, in, &a, &b, tile, rows);
    }
}

void mp_gap_last_positions(mp_gap_job *job, const mp_conv_shape *shape, const int8_t *in, uint32_t position,
                           int8_t *columns)
{
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w, cols = mp_conv_cols(shape);
    for (uint32_t p = position; p < positions; p++) /* pointwise, too: im2col copies then */
        mp_im2col_s8(shape, in, p, columns + (p - position) * cols);
    for (uint32_t p = position; p < positions; p++, columns += cols, job->out += job->out_ch)
        mp_gap_position(job, columns);
}
