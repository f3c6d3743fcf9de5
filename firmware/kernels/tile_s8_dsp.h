/* tile_s8_dsp.h: im2col columns of a few output positions as 16-bit lanes, for SMLAD.
 *
 * A tile word holds two activations of one position, twice each: doubled sums are what requantization multiplies
 * (requant_dsp.h). Which activations share a word is the kernel's order; the words of the tile's positions lie side by
 * side. An odd number of columns is padded with a zero. */
#ifndef MCUPRUNE_TILE_S8_DSP_H
#define MCUPRUNE_TILE_S8_DSP_H

#include "im2col_s8.h"
#include "mp_simd.h"

typedef enum {
    MP_EVEN_ODD, /* words of columns 4g .. 4g + 3: (0, 2), (1, 3); of the one to three behind them: (0, 1), (2, -) */
    MP_NEXT,     /* (0, 1), (2, 3) */
    MP_SIX       /* (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3); cols is a multiple of 4 */
} mp_pair_order;

/* Whether the rows of a window are stretches of their own, which lie in the input; if not, the whole column is gathered
 * into one. That wastes no half of a word with MP_NEXT and MP_SIX, and at most an eighth of them with MP_EVEN_ODD. */
static inline int mp_rows_apart(mp_pair_order order, const mp_conv_shape *shape)
{
    const uint32_t bytes = (uint32_t)shape->kernel_w * shape->in_ch;
    return bytes % (order == MP_SIX ? 4 : 2) == 0 || (order == MP_EVEN_ODD && bytes >= 7);
}

/* Bytes that gathering a column takes. */
static inline size_t mp_column_bytes(const mp_conv_shape *shape)
{
    return mp_conv_is_pointwise(shape) ? 0 : ((size_t)mp_conv_cols(shape) + 3) / 4 * 4;
}

#define MP_TILE_INLINE static inline __attribute__((always_inline))

/* Words of one position for n columns. */
static inline uint32_t mp_tile_words(mp_pair_order order, uint32_t n)
{
    return order == MP_SIX ? n / 4 * 6 : (n + 1) / 2;
}

/* The words of four columns, `pitch` words apart from tile on. */
MP_TILE_INLINE void mp_tile_group(mp_pair_order order, uint32_t pitch, uint32_t bytes, uint32_t *tile)
{
    const uint32_t half = mp_sxtb16(bytes), other = mp_sxtb16_odd(bytes);
    const uint32_t even = mp_sadd16(half, half), odd = mp_sadd16(other, other); /* doubled */
    if (order == MP_EVEN_ODD) {
        tile[0] = even, tile[pitch] = odd;
        return;
    }
    const uint32_t first = mp_pkhbt(even, odd), last = mp_pkhtb(even, odd);
    if (order == MP_NEXT) {
        tile[0] = first, tile[pitch] = last;
        return;
    }
    tile[0] = first, tile[pitch] = even, tile[2 * pitch] = mp_low_high(even, odd);
    tile[3 * pitch] = mp_low_high(odd, even), tile[4 * pitch] = odd, tile[5 * pitch] = last;
}

/* The words of `rows` stretches of `bytes` columns, `stride` apart from x on, each cut into pairs from its first
 * column on; returns where the next ones go. One stretch may be cut into runs, with MP_NEXT: their lengths, or NULL.
 * */
typedef uint32_t *mp_pack(const int8_t *x, uint32_t bytes, uint32_t rows, uint32_t stride, const uint16_t *runs,
                          uint32_t *tile);

/* A kernel's mp_pack: of one position, `pitch` words from one pair to the next. */
MP_TILE_INLINE uint32_t *mp_tile_pack(mp_pair_order order, uint32_t pitch, const int8_t *x, uint32_t bytes,
                                      uint32_t rows, uint32_t stride, const uint16_t *runs, uint32_t *tile)
{
    const uint32_t step = mp_tile_words(order, 4) * pitch;
    const int8_t *next = x;
    for (; rows > 0; rows--) {
        const uint32_t n = order == MP_NEXT && runs ? *runs++ : bytes;
        x = next;
        next += order == MP_NEXT && runs ? n : stride;
        if (n & 4) {
            mp_tile_group(order, pitch, mp_load_word(x), tile);
            x += 4, tile += step;
        }
        for (const int8_t *end = x + (n & ~7U); x != end; x += 8, tile += 2 * step) {
            const uint32_t first = mp_load_word(x), second = mp_load_word(x + 4);
            mp_tile_group(order, pitch, first, tile);
            mp_tile_group(order, pitch, second, tile + step);
        }
        if (order == MP_SIX || !(n & 3)) continue;
        if (n & 2) {
            *tile = mp_lanes16(2 * x[0], 2 * x[1]);
            x += 2, tile += pitch;
        }
        if (n & 1) {
            *tile = mp_lanes16(2 * *x, 0);
            tile += pitch;
        }
    }
    return tile;
}

/* Fills tiles with one position after the other. mp_tile_start() fills in what stands behind `column`. */
typedef struct {
    const mp_conv_shape *shape;
    mp_pair_order order;
    uint32_t pitch;
    mp_pack *pack;
    const uint16_t *runs; /* of a pointwise convolution, or NULL */
    uint32_t run_count;   /* 1 where there are none */
    const int8_t *in;
    int8_t *column; /* mp_column_bytes() of scratch */

    int pointwise;
    uint32_t bytes, stride;         /* of a window's row, and between two of them */
    int32_t last;                   /* where the last window begins that lies in the input; -1: none does */
    uint32_t out_y, out_x;          /* the next row of outputs; the next position in the one that is worked on */
    uint32_t before, inside, below; /* that one's rows of a window above, in and below the input */
    int32_t y0, x0;                 /* the next window's first tap */
    const int8_t *from;             /* the first row of the windows that lies in the input */
} mp_tiler;

void mp_tile_start(mp_tiler *tiler);

/* The words of the next `count` positions, side by side. */
void mp_tile_next(mp_tiler *tiler, uint32_t count, uint32_t *tile);

#endif
