/* tile_mve.h: what convolutions for MVE share: positions gathered into a tile, sums of a tile turned into output. */
#ifndef MCUPRUNE_TILE_MVE_H
#define MCUPRUNE_TILE_MVE_H

#include "rescale_mve.h"

enum {
    MP_TILE_ROWS = 64,     /* rows whose sums wait together for rescaling */
    MP_TILE_POSITIONS = 4, /* positions that are rescaled together */
};

/* n bytes. */
void mp_copy_mve(int8_t *to, const int8_t *from, uint32_t n);

/* mp_im2col_s8() by vectors. */
void mp_column_mve(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *column);

/* Rows row .. row + rows - 1 at four positions: sums[i * pitch + p] is row `row + i` at position p, out[p] the output
 * of position p. Equal pointers are allowed where the sums are equal. */
void mp_rescale_tile_mve(const mp_rescale *r, mp_rounding rounding, uint32_t row, uint32_t rows, const int32_t *sums,
                         uint32_t pitch, int8_t *const *out);

/* The same for one position, sums[i]; few outputs come this way, so the general rounding serves all. */
void mp_rescale_row_mve(const mp_rescale *r, uint32_t row, uint32_t rows, const int32_t *sums, int8_t *out);

#endif
