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

/* Where a column lies: `rows` stretches of `bytes` columns, `stride` apart, and `above` and `below` them stretches of
 * padding. bytes is a multiple of 4, or there is one stretch. That one may be cut into runs: with MP_NEXT, pairs begin
 * with the first column of each. */
typedef struct {
    const int8_t *x;
    uint32_t bytes, rows, stride, above, below;
    int8_t pad_value;
    const uint16_t *runs; /* their lengths; NULL: none */
} mp_window;

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

MP_TILE_INLINE uint32_t *mp_tile_pad(uint32_t pitch, int8_t value, uint32_t words, uint32_t *tile)
{
    const uint32_t word = mp_lanes16(2 * value, 2 * value);
    for (; words > 0; words--, tile += pitch)
        *tile = word;
    return tile;
}

/* The words of the whole fours of n columns from x on; returns where the next ones go. */
MP_TILE_INLINE uint32_t *mp_tile_fours(mp_pair_order order, uint32_t pitch, const int8_t *x, uint32_t n, uint32_t *tile)
{
    const uint32_t step = mp_tile_words(order, 4) * pitch;
    if (n & 4) {
        mp_tile_group(order, pitch, mp_load_word(x), tile);
        x += 4, tile += step;
    }
    for (n /= 8; n > 0; n--, x += 8, tile += 2 * step) {
        const uint32_t first = mp_load_word(x), second = mp_load_word(x + 4);
        mp_tile_group(order, pitch, first, tile);
        mp_tile_group(order, pitch, second, tile + step);
    }
    return tile;
}

/* The words of n columns, 0..3, in front of end. */
MP_TILE_INLINE uint32_t *mp_tile_rest(uint32_t pitch, const int8_t *end, uint32_t n, uint32_t *tile)
{
    const int8_t *x = end - n;
    if (n == 0) return tile;
    tile[0] = mp_lanes16(2 * x[0], n > 1 ? 2 * x[1] : 0);
    if (n == 3) tile[pitch] = mp_lanes16(2 * x[2], 0);
    return tile + (n + 1) / 2 * pitch;
}

/* One position's words, `pitch` apart from tile on. */
MP_TILE_INLINE void mp_tile_pack(mp_pair_order order, uint32_t pitch, const mp_window *w, uint32_t *tile)
{
    const uint32_t bytes = w->bytes, stride = w->stride, words = mp_tile_words(order, bytes);
    const int8_t *x = w->x;

    if (order == MP_NEXT && w->runs) {
        const uint16_t *run = w->runs;
        for (const int8_t *end = x + bytes; x != end;) {
            const uint32_t n = *run++;
            tile = mp_tile_fours(order, pitch, x, n, tile);
            x += n;
            tile = mp_tile_rest(pitch, x, n & 3, tile);
        }
        return;
    }
    if (w->above) tile = mp_tile_pad(pitch, w->pad_value, w->above * words, tile);
    for (uint32_t rows = w->rows; rows > 0; rows--, x += stride)
        tile = mp_tile_fours(order, pitch, x, bytes, tile);
    tile = mp_tile_rest(pitch, w->x + bytes, bytes & 3, tile);
    if (w->below) mp_tile_pad(pitch, w->pad_value, w->below * words, tile);
}

/* mp_tile_pack() of a kernel's order and pitch. */
typedef void mp_pack(const mp_window *window, uint32_t *tile);

/* The words of `count` positions from `position` on, side by side. column: mp_column_bytes() of scratch. runs: of a
 * pointwise convolution, or NULL. */
void mp_tile_fill(const mp_conv_shape *shape, const uint16_t *runs, const int8_t *in, uint32_t position,
                  uint32_t count, int8_t *column, mp_pack *pack, uint32_t *tile);

/* Cuts n saturated outputs to the activation range, where it is narrower than int8. */
void mp_clamp_bytes(int8_t *out, size_t n, int8_t act_min, int8_t act_max);

#endif
