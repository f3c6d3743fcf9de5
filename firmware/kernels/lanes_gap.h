/* lanes_gap.h: gap-coded rows over tiles of lane words (mp_simd.h), with everything up to the output bytes. */
#ifndef MCUPRUNE_LANES_GAP_H
#define MCUPRUNE_LANES_GAP_H

#include "mcuprune_nn.h"

enum { MP_TILE_WORDS = 4, MP_TILE_POSITIONS = 8 }; /* of a whole tile: 16 bytes a column */

/* Rows rows..rows_end over `tiles` tiles of `count` positions, which follow each other by tile_bytes. A tile has 4 words
 * a column; lanes beyond count may hold anything.
 *
 *   sum[j]              = bias + sum_k tile[i_k][j] * value_k,  i_k = pairs / 32 + gap[0] + ... + gap[k] along the row
 *   out[j * out_ch + o] = ssat8(requant(sum[j], mult, -right) + out_zp)
 *
 * lanes_gap.c reads the members by their offsets. */
typedef struct {
    const int32_t *tile;
    const uint8_t *pairs; /* first row's; MP_GAP_AHEAD bytes behind the last row's, the first two of them 0 */
    const mp_row *rows;
    int8_t *out;
    uint32_t out_ch;    /* bytes from one position to the next */
    int32_t twice_zp_1; /* 2 * out_zp + 1 */
    const mp_row *rows_end;
    uint32_t tile_bytes;
    uint32_t tiles; /* at least 1 */
    uint32_t count; /* positions of each tile, 1..8 */
} mp_gap_job;

/* There is at least one row. */
void mp_gap_tiles(const mp_gap_job *job);

/* The same for one position, whose column lies as it is; tile, tiles, count are not used. */
void mp_gap_position(const mp_gap_job *job, const int8_t *column);

#endif
