/* lanes_gap.h: gap-coded rows over tiles of lane words (mp_simd.h), with everything up to the output bytes. */
#ifndef MCUPRUNE_LANES_GAP_H
#define MCUPRUNE_LANES_GAP_H

#include "mcuprune_nn.h"

enum { MP_TILE_WORDS = 4, MP_TILE_POSITIONS = 8 }; /* of a whole tile: 16 bytes a column */

/* Rows rows..rows_end over `tiles` tiles of `count` positions, which follow each other by tile_bytes. A tile has 4 words
 * a column, 2 where mp_gap_short() gets 3 or 4 positions, 1 where it gets 1 or 2; lanes beyond count may hold anything.
 *
 *   sum[j]              = bias + sum_k tile[i_k][j] * value_k,  i_k = gap[0] + ... + gap[k] along the row
 *   out[j * out_ch + o] = ssat8(requant(sum[j], mult, -right) + out_zp)
 *
 * lanes_gap.c reads the members by their offsets. */
typedef struct {
    const int32_t *tile;
    const uint8_t *pairs; /* first row's; two bytes behind the last pair of the last row are read */
    const mp_row *rows;
    int8_t *out;
    uint32_t out_ch;    /* bytes from one position to the next */
    int32_t twice_zp_1; /* 2 * out_zp + 1 */
    const mp_row *rows_end;
    uint32_t tile_bytes;
    uint32_t tiles; /* at least 1 */
    uint32_t count; /* positions of each tile, 1..8 */
} mp_gap_job;

/* 4 words a column. There is at least one row. */
void mp_gap_tiles(const mp_gap_job *job);

/* One tile of 1 to 4 positions: 1 word a column up to 2, else 2. Parts of rows as in mp_gap_tiles(). */
void mp_gap_short(const mp_gap_job *job);

#endif
