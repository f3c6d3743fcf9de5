/* conv_lanes.h: tiles of lane words (mp_simd.h) of a convolution's positions. */
#ifndef MCUPRUNE_CONV_LANES_H
#define MCUPRUNE_CONV_LANES_H

#include "im2col_s8.h"
#include "lanes_gap.h"

/* Fills a tile, 4 words a column, with the columns of `count` positions, 1..8, from `position` on. rows: two rows of a
 * window; not used where the layer is pointwise. Lanes without a position hold anything. */
void mp_pack_lanes(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t count, int32_t *tile,
                   int8_t *rows);

/* Runs job's rows over the positions from `position` on, one by one. Their columns are gathered first, so that out may
 * be in: columns holds as many. */
void mp_gap_last_positions(mp_gap_job *job, const mp_conv_shape *shape, const int8_t *in, uint32_t position,
                           int8_t *columns);

#endif
