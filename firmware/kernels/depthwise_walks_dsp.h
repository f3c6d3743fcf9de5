/* depthwise_walks_dsp.h: walks down the unpacked strips of a 3x3 depthwise convolution, for cores with the DSP
 * extension.
 *
 * A strip is a pair of input rows of four channels, a column of it four words: x[y][x] below x[y + 1][x] as int16
 * lanes, for each channel. Columns hold MP_DW_STRIPS strips one after the other. */
#ifndef MCUPRUNE_DEPTHWISE_WALKS_DSP_H
#define MCUPRUNE_DEPTHWISE_WALKS_DSP_H

#include "mcuprune_nn.h"

enum {
    MP_DW_CHANNELS = 4,
    MP_DW_STRIPS = 8,
    MP_DW_COLUMN = MP_DW_STRIPS * MP_DW_CHANNELS, /* words */
    MP_DW_RIGHT = 10                              /* what relu walks shift by */
};

/* Words of one channel: three of weights of rows 0 and 1, a column each, as int16 lanes; three of rows 1 and 2; bias;
 * mult; one or two last ones. With acc the sum that starts at the bias,
 *
 *   relu:   out = ssat8(smmla(acc, mult, last) >> MP_DW_RIGHT)
 *   signed: out = ssat8(smmlar(smmulr(acc, mult), last, out_zp))
 *
 * The second one rounds twice: last = 2^(32 - right) + 1. 2^(32 - right) alone would send halves up; the 1 takes those
 * below zero down, and moves nothing else as the first product is below 2^(32 - right).
 * mcuprune/kernels/dsp_depthwise.py. */
enum { MP_DW_BIAS = 6, MP_DW_MULT = 7, MP_DW_LAST = 8, MP_DW_RELU_WORDS = 9, MP_DW_SIGNED_WORDS = 10 };

/* Where results go; the assembler knows the order. */
typedef struct {
    int8_t *out;
    uint32_t column_step, row_step; /* bytes */
    const uint32_t *end;            /* of the strips that give two rows */
    const uint32_t *last;           /* of the one that gives a single row, if any: its second one is overwritten */
} mp_dw_walk;

/* Outputs of four channels, two rows a turn, in two columns or in one. strip: aligned to 16 bytes; the 16 bytes in
 * front of it are overwritten. */
typedef void mp_dw_walker(const uint32_t *strip, const uint32_t *channels, const mp_dw_walk *walk);

struct mp_depthwise_walks {
    mp_dw_walker *four, *two;
    uint32_t words; /* of a channel: MP_DW_*_WORDS */
};

#endif
