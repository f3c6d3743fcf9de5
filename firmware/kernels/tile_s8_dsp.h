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
 * padding. bytes is a multiple of 4, or there is one stretch. */
typedef struct {
    const int8_t *x;
    uint32_t bytes, rows, stride, above, below;
    int8_t pad_value;
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

/* One position's words, `pitch` apart from tile on; returns where the next ones go. */
MP_TILE_INLINE uint32_t *mp_tile_pack(mp_pair_order order, uint32_t pitch, const mp_window *w, uint32_t *tile)
{
    const uint32_t bytes = w->bytes, stride = w->stride, words = mp_tile_words(order, bytes);
    const uint32_t step = mp_tile_words(order, 4) * pitch;
    const int8_t *x = w->x, *end = x;

    if (w->above) tile = mp_tile_pad(pitch, w->pad_value, w->above * words, tile);
    for (uint32_t rows = w->rows; rows > 0; rows--, x += stride) {
        end = x;
        if (bytes & 4) {
            mp_tile_group(order, pitch, mp_load_word(end), tile);
            end += 4, tile += step;
        }
        for (uint32_t n = bytes / 8; n > 0; n--, end += 8, tile += 2 * step) {
            const uint32_t first = mp_load_word(end), second = mp_load_word(end + 4);
            mp_tile_group(order, pitch, first, tile);
            mp_tile_group(order, pitch, second, tile + step);
        }
    }
    if (bytes & 3) {
        tile[0] = mp_lanes16(2 * end[0], (bytes & 3) > 1 ? 2 * end[1] : 0);
        if ((bytes & 3) == 3) tile[pitch] = mp_lanes16(2 * end[2], 0);
        tile += ((bytes & 3) + 1) / 2 * pitch;
    }
    return w->below ? mp_tile_pad(pitch, w->pad_value, w->below * words, tile) : tile;
}

/* mp_tile_pack() of a kernel's order and pitch. */
typedef uint32_t *mp_pack(const mp_window *window, uint32_t *tile);

/* The words of `count` positions from `position` on, side by side. column: mp_column_bytes() of scratch. runs: of a
 * pointwise convolution, lengths of the stretches of columns whose pairs begin with their first one; NULL: one. */
void mp_tile_fill(const mp_conv_shape *shape, const uint16_t *runs, const int8_t *in, uint32_t position,
                  uint32_t count, int8_t *column, mp_pack *pack, uint32_t *tile);

/* Cuts n saturated outputs to the activation range, where it is narrower than int8. */
void mp_clamp_bytes(int8_t *out, size_t n, int8_t act_min, int8_t act_max);

#endif
