/* depthwise3x3_s8.h: 3x3 depthwise convolutions that keep a channel's nine weights at hand; armv6m and armv7m.
 *
 * Four channels at a time are gathered, with the padding around them, into a plane of words: a byte for each
 * channel, rows of MP_PLANE_PITCH bytes. A column of outputs then takes two rows at a time. Where the output is wider
 * than it is high, rows are columns and columns rows.
 *
 * Workspace: the plane of one band of at most MP_BAND_ROWS output rows, rounded up to even. */
#ifndef MCUPRUNE_DEPTHWISE3X3_S8_H
#define MCUPRUNE_DEPTHWISE3X3_S8_H

#include "tile8_s8.h"

enum {
    MP_BAND_ROWS = 16,                 /* output rows of a band */
    MP_PLANE_COLS = 16,                /* input columns of a plane: bounds a strip of outputs */
    MP_PLANE_PITCH = 4 * MP_PLANE_COLS /* bytes from one row to the next */
};

/* Twice the nine weights of a channel, and twice its bias. */
typedef struct {
    int32_t weights[9];
    int32_t bias;
} mp_taps3x3;

typedef struct {
    uint32_t flip; /* what a word of a plane is XORed with: 0, or 0x80808080 for bytes that hold activation + 128 */

    /* sums[i] = bias + window_i * weights for 2 * pairs output rows below each other; plane: the channel's byte of the
     * first window. */
    void (*column)(const uint8_t *plane, const mp_taps3x3 *taps, int32_t *sums, uint32_t pairs);
    void (*column_stride2)(const uint8_t *plane, const mp_taps3x3 *taps, int32_t *sums, uint32_t pairs);

    mp_tile8_store *store;
} mp_depthwise3x3;

void mp_depthwise3x3_conv2d_s8(const mp_depthwise_conv2d_s8_rows *op, const mp_depthwise3x3 *core, const int8_t *in,
                               int8_t *out, void *workspace);
size_t mp_depthwise3x3_workspace(const mp_conv_shape *shape);

#endif
