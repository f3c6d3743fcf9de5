/* Tiles of lane words: see conv_lanes.h. */
#include "conv_lanes.h"

#include <string.h>

#include "mp_numerics.h"
#include "mp_simd.h"

static inline uint32_t load(const int8_t *x)
{
    uint32_t word;
    memcpy(&word, x, sizeof word);
    return word;
}

/* tile[k * words] = x0[k] + (x1[k] << 23), four columns a turn. */
static inline void pack_pair(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t words, int32_t *tile)
{
    for (; cols >= 4; cols -= 4, x0 += 4, x1 += 4, tile += 4 * words) {
        const uint32_t a = load(x0), b = load(x1);
        tile[0] = mp_lane_pack((int8_t)a, (int8_t)b);
        tile[words] = mp_lane_pack((int8_t)(a >> 8), (int8_t)(b >> 8));
        tile[2 * words] = mp_lane_pack((int8_t)(a >> 16), (int8_t)(b >> 16));
        tile[3 * words] = mp_lane_pack((int8_t)(a >> 24), (int8_t)(b >> 24));
    }
    for (; cols > 0; cols--, tile += words)
        *tile = mp_lane_pack(*x0++, *x1++);
}

/* The same with an empty high lane. */
static void pack_one(const int8_t *x, uint32_t cols, uint32_t words, int32_t *tile)
{
    for (; cols > 0; cols--, tile += words)
        *tile = *x++;
}

void mp_pack_lanes(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t count, int32_t *tile,
                   int8_t *columns)
{
    const uint32_t cols = mp_conv_cols(shape), words = mp_lane_words(count);
    const int pointwise = mp_conv_is_pointwise(shape);

    for (uint32_t j = 0; j < words; j++, position += 2) {
        const uint32_t lanes = 2 * j >= count ? 0 : count - 2 * j >= 2 ? 2 : 1;
        const int8_t *x = columns;
        if (lanes == 0) {
            for (uint32_t k = 0; k < cols; k++)
                tile[k * words + j] = 0;
            continue;
        }
        if (pointwise) {
            x = in + position * cols;
        } else {
            for (uint32_t i = 0; i < lanes; i++)
                mp_im2col_s8(shape, in, position + i, columns + i * cols);
        }
        if (lanes == 1) {
            pack_one(x, cols, words, tile + j);
        } else if (words == MP_TILE_WORDS) {
            pack_pair(x, x + cols, cols, MP_TILE_WORDS, tile + j);
        } else {
            pack_pair(x, x + cols, cols, words, tile + j);
        }
    }
}

void mp_clamp_output(const mp_row_table *table, int8_t *out, uint32_t size)
{
    if (table->act_min <= INT8_MIN && table->act_max >= INT8_MAX) return;
    for (int8_t *end = out + size; out != end; out++)
        *out = (int8_t)mp_clamp(*out, table->act_min, table->act_max);
}
