/* conv_lanes.h: tiles of lane words (mp_simd.h) of a convolution's positions. */
#ifndef MCUPRUNE_CONV_LANES_H
#define MCUPRUNE_CONV_LANES_H

#include "im2col_s8.h"
#include "lanes_gap.h"

/* Words a column in a tile of `count` positions. */
static inline uint32_t mp_lane_words(uint32_t count) { return count <= 2 ? 1 : count <= 4 ? 2 : MP_TILE_WORDS; }

/* Fills a tile with the columns of `count` positions, 1..8, from `position` on. columns: two im2col columns in whole
 * words; not used where the layer is pointwise. Lanes without a position hold 0. */
void mp_pack_lanes(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t count, int32_t *tile,
                   int8_t *columns);

/* Rows of one tile of count positions that mp_pack_lanes() filled. */
static inline void mp_gap_tile(const mp_gap_job *job)
{
    if (job->count > 4) {
        mp_gap_tiles(job);
    } else {
        mp_gap_short(job);
    }
}

/* Clamps outputs to an activation range that is narrower than int8. Saturating first, clamping then is exact. */
void mp_clamp_output(const mp_row_table *table, int8_t *out, uint32_t size);

#endif
