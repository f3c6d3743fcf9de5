/* 2-D convolution over gap-coded sparse rows, int8, for cores with the DSP extension. Equals conv2d_s8_gap_ref.c.
 *
 *   sum[j][o] = sum over the lanes of acc[2 * j][o] + (acc[2 * j + 1][o] << 23) (mp_simd.h), acc as in the reference
 *
 * in, out, weights: as in the reference. Precondition, proved by the host: |bias[o]| + 128 * sum|row o| < 2^22.
 *
 * Workspace: a tile of 8 positions, 4 lane words (16 bytes) for each of the cols = kernel_h * kernel_w * in_ch columns;
 * behind it two im2col columns of cols bytes each, none for 1x1 of stride 1:
 *
 *   16 * cols + (pointwise ? 0 : (2 * cols + 3) / 4 * 4) bytes
 *
 * A last tile of 3 to 7 positions has zeros in its empty lanes; one of 1 or 2 positions has one word a column. */
#include "im2col_s8.h"
#include "lanes_gap.h"
#include "rescale_s8.h"

enum { TILE_POSITIONS = 2 * MP_TILE_WORDS };

size_t mp_conv2d_s8_gap_dsp_workspace(const mp_conv_shape *shape)
{
    return sizeof(int32_t) * MP_TILE_WORDS * mp_conv_cols(shape) + mp_conv2d_s8_ref_workspace(shape);
}

/* tile[k * words] = x0[k] + (x1[k] << 23); x1 may be NULL: zeros. */
static void pack(const int8_t *x0, const int8_t *x1, uint32_t cols, uint32_t words, int32_t *tile)
{
    if (x1) {
        for (const int8_t *end = x0 + cols; x0 != end; tile += words)
            *tile = mp_lane_pack(*x0++, *x1++);
    } else {
        for (const int8_t *end = x0 + cols; x0 != end; tile += words)
            *tile = *x0++;
    }
}

/* Fills `words` words of each column with `count` positions from `position` on; lanes without a position hold 0. */
static void pack_tile(const mp_conv_shape *shape, const int8_t *in, uint32_t position, uint32_t count, uint32_t words,
                      int32_t *tile)
{
    const uint32_t cols = mp_conv_cols(shape);
    const int pointwise = mp_conv_is_pointwise(shape);
    int8_t *columns = (int8_t *)(tile + MP_TILE_WORDS * cols);

    for (uint32_t j = 0; j < words; j++, position += 2, tile++) {
        const uint32_t lanes = count - 2 * j >= 2 ? 2 : 1;
        const int8_t *x = columns;
        if (2 * j >= count) {
            for (uint32_t k = 0; k < cols; k++)
                tile[k * words] = 0;
            continue;
        }
        if (pointwise) {
            x = in + position * cols;
        } else {
            for (uint32_t i = 0; i < lanes; i++)
                mp_im2col_s8(shape, in, position + i, columns + i * cols);
        }
        pack(x, lanes == 2 ? x + cols : NULL, cols, words, tile);
    }
}

/* Whether quick() equals mp_rescale_s8(): half holds out_zp, and the clamp is that of int8. */
static int is_quick(const mp_rescale *r, int32_t shift)
{
    return shift >= -22 && shift <= -1 && r->act_min == INT8_MIN && r->act_max == INT8_MAX;
}

/* mp_rescale_s8() in six instructions, for |acc| < 2^22 and half = 2^(right - 1) + (out_zp << right): SMMULR of twice
 * acc is the first rounding; the sign of its result sends halves of the second one away from zero. */
static inline int8_t quick(int32_t acc, int32_t mult, int32_t half, int32_t right)
{
    const int32_t high = mp_smmulr(acc * 2, mult);
    return mp_ssat_s8((high + half + (high >> 31)) >> right);
}

/* Output bytes of channel o at `count` positions that lie `rows` bytes apart. */
static void store(const mp_rescale *r, uint32_t o, const int64_t *sum, uint32_t count, uint32_t rows, int8_t *out)
{
    const int32_t mult = r->mult[o], shift = r->shift[o];
    if (is_quick(r, shift)) {
        const int32_t half = (1 << (-shift - 1)) + mp_shift_left(r->out_zp, -shift);
        for (; count >= 2; count -= 2, sum++, out += 2 * rows) {
            out[0] = quick(mp_lane_low(*sum), mult, half, -shift);
            out[rows] = quick(mp_lane_high(*sum), mult, half, -shift);
        }
        if (count) *out = quick(mp_lane_low(*sum), mult, half, -shift);
        return;
    }
    for (uint32_t j = 0; j < count; j++) {
        const int32_t acc = j % 2 ? mp_lane_high(sum[j / 2]) : mp_lane_low(sum[j / 2]);
        out[j * rows] = mp_rescale_s8(r, o, acc);
    }
}

/* Both lanes of a sum start at the bias. */
static int64_t start(int32_t bias) { return bias + (int64_t)bias * (1 << MP_LANE_SHIFT); }

static void convolve_tile(const mp_conv2d_s8_gap *op, const int32_t *tile, uint32_t count, int8_t *out)
{
    const uint32_t rows = op->shape.out_ch;
    const uint8_t *pairs = op->weights.pairs;
    for (uint32_t o = 0; o < rows; o++) {
        const int64_t bias = start(op->rescale.bias[o]);
        int64_t sum[MP_TILE_WORDS] = {bias, bias, bias, bias};
        pairs = mp_gap_row_lanes(pairs, op->weights.row_nnz[o], tile, sum);
        store(&op->rescale, o, sum, count, rows, out + o);
    }
}

/* The same for one or two positions. */
static void convolve_word(const mp_conv2d_s8_gap *op, const int32_t *tile, uint32_t count, int8_t *out)
{
    const uint32_t rows = op->shape.out_ch;
    const uint8_t *pairs = op->weights.pairs;
    for (uint32_t o = 0; o < rows; o++) {
        int64_t sum = start(op->rescale.bias[o]);
        pairs = mp_gap_row_lane(pairs, op->weights.row_nnz[o], tile, &sum);
        store(&op->rescale, o, &sum, count, rows, out + o);
    }
}

void mp_conv2d_s8_gap_dsp(const mp_conv2d_s8_gap *op, const int8_t *in, int8_t *out, void *workspace)
{
    const uint32_t positions = (uint32_t)op->shape.out_h * op->shape.out_w;
    uint32_t p = 0;
    for (; p + 2 < positions; p += TILE_POSITIONS) {
        const uint32_t count = positions - p < TILE_POSITIONS ? positions - p : TILE_POSITIONS;
        pack_tile(&op->shape, in, p, count, MP_TILE_WORDS, workspace);
        convolve_tile(op, workspace, count, out + p * op->shape.out_ch);
    }
    if (p < positions) { /* a tail of one or two */
        pack_tile(&op->shape, in, p, positions - p, 1, workspace);
        convolve_word(op, workspace, positions - p, out + p * op->shape.out_ch);
    }
}
