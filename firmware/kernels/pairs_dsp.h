/* pairs_dsp.h: convolutions over listed pairs of columns that two rows share, for cores with the DSP extension.
 *
 * Rows A B by four positions, SMLAD over pairs of columns. A weight word holds both rows as 16-bit lanes 256 * a + b,
 * one for each column of the pair: it multiplies the activations as it is, which sums 256 * A + B, and after SXTB16,
 * which sums B. Sums wrap; the difference, 512 * A of doubled activations, does not, as |A| < 2^22.
 *
 * Stream of two rows, words. A step is a pair's index less that of the step before, 0..127, and its weight word:
 *   16 * index of the first pair, and from bit 16 on 64 * k; its weights; 2 * (256 * bias A + bias B), 2 * bias B
 *   groups of 4 further steps: 4 weight words, 4 index bytes, both the last step first; the first lacks k % 4 steps
 *   mult A, half A, shifts, mult B, half B (requant_dsp.h)
 * Steps run in turns of 16, the first of which lacks k; 128 is added to the index byte that ends a turn but the last.
 * shifts: bits 0-7 right of A, 8 last of its call, 9-16 right of B, 17 two rows of the layer, 31 signed requantization.
 * Unless signed, A is requantized wide.
 *
 * Which neighbours go together is the host's choice. A row that goes alone is A, beside zeros whose result the next
 * row overwrites; the last row is B and comes first, in a call of its own (last_alone). A column that goes alone, in
 * pointwise convolutions only, is the end of a run: at most MP_PAIR_SPARE runs of odd length. */
#ifndef MCUPRUNE_PAIRS_DSP_H
#define MCUPRUNE_PAIRS_DSP_H

#include "requant_dsp.h"
#include "tile_s8_dsp.h"

enum { MP_PAIR_POSITIONS = 4, MP_PAIR_SPARE = 32 };

static inline size_t mp_pair_tile_words(mp_pair_order order, const mp_conv_shape *shape)
{
    const size_t spare = order == MP_NEXT && mp_conv_is_pointwise(shape) ? MP_PAIR_SPARE : 0;
    return MP_PAIR_POSITIONS * (mp_tile_words(order, mp_conv_cols(shape)) + spare);
}

static inline size_t mp_pair_workspace(mp_pair_order order, const mp_conv_shape *shape)
{
    const size_t spare = (uint32_t)shape->out_h * shape->out_w % 4 < 2 ? 0 : (size_t)MP_PAIR_POSITIONS * shape->out_ch;
    return sizeof(uint32_t) * mp_pair_tile_words(order, shape) + mp_column_bytes(shape) + spare;
}

/* A kernel. A last tile of two or three positions is worked as four, aside. */
void mp_pair_convolve(mp_pair_order order, const mp_conv2d_s8_smlad *op, const int8_t *in, int8_t *out,
                      void *workspace, mp_pack *pack);

#endif
