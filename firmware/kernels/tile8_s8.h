/* tile8_s8.h: convolutions that walk a row of weights once for a tile of 8 output positions; armv6m and armv7m.
 *
 * The driver knows the geometry; what a core does with a tile stands in an mp_tile8: how 8 columns of activations
 * become a tile, how a row of weights walks along it, and how 8 sums become output bytes.
 *
 * Workspace, with cols = kernel_h * kernel_w * in_ch: the tile, column_bytes for each of the cols columns; behind it
 * two im2col columns of cols bytes each in whole words, none for 1x1 of stride 1. */
#ifndef MCUPRUNE_TILE8_S8_H
#define MCUPRUNE_TILE8_S8_H

#include "mcuprune_nn.h"

enum { MP_TILE8 = 8 }; /* positions of a tile */

/* Where the sums of a row go: `count` bytes, `stride` apart. */
typedef struct {
    uint32_t stride, count;
    int32_t out_zp;
} mp_tile8_out;

/* All rows over one tile. */
typedef struct {
    const uint8_t *stream;
    const int32_t *tile;
    const mp_row *row, *end;
    int8_t *last; /* output of the first row at the last of the tile's positions */
    mp_tile8_out to;
} mp_tile8_job;

/* sums[i] = 2 * (bias + row * x_i) of the 8 positions of a tile; returns the stream behind the row. */
typedef const uint8_t *mp_tile8_walk(const uint8_t *stream, const int32_t *tile, const mp_row *row, int32_t *sums);

/* out[i * stride] = saturate(requant(sums[i] / 2) + out_zp) for `count` sums. */
typedef void mp_tile8_store(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to);

typedef struct {
    uint32_t column_bytes; /* of a tile */

    /* Positions 2 * pair and 2 * pair + 1 of a tile, from their columns x0 and x1. */
    void (*pack)(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t pair, int32_t *tile);

    void (*rows)(const mp_tile8_job *job);

    /* Twice the sum of a row at one position, from its column. */
    const uint8_t *(*walk_one)(const uint8_t *stream, const int8_t *x, const mp_row *row, int32_t *sum);

    mp_tile8_store *store;
} mp_tile8;

void mp_tile8_conv2d_s8(const mp_conv2d_s8_tile8 *op, const mp_tile8 *core, const int8_t *in, int8_t *out,
                        void *workspace);
size_t mp_tile8_workspace(const mp_conv_shape *shape, uint32_t column_bytes);

/* rows() of a core whose walk and store are apart. */
void mp_tile8_each_row(const mp_tile8_job *job, mp_tile8_walk *walk, mp_tile8_store *quick);

/* The store of any core, for rows of any shift. */
void mp_tile8_store_plain(const int32_t *sums, const mp_row *row, int8_t *out, const mp_tile8_out *to);

/* What serves a row. */
static inline mp_tile8_store *mp_tile8_store_of(mp_tile8_store *quick, const mp_row *row)
{
    return row->flags & MP_ROW_PLAIN ? mp_tile8_store_plain : quick;
}

/* walk_one() of any core: a row of (skip, weight) pairs, a row of weights. */
const uint8_t *mp_tile8_gap_one(const uint8_t *stream, const int8_t *x, const mp_row *row, int32_t *sums);
const uint8_t *mp_tile8_dense_one(const uint8_t *stream, const int8_t *x, const mp_row *row, int32_t *sums);

#endif
