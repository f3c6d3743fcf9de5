/* The part of tile kernels that is the same on every core: tiles, rows, tail, activation range.
 *
 * A tail of one or two positions walks each alone: that takes fewer instructions than a tile that is mostly empty. In a
 * tail of 3 to 7 positions the tile's other lanes hold what was there; their sums are not stored. */
#include "tile8_s8.h"

#include <string.h>

#include "clamp_s8.h"
#include "im2col_s8.h"
#include "mp_numerics.h"

enum { LONGEST_TAIL = 2 }; /* positions that are walked alone */

size_t mp_tile8_workspace(const mp_conv_shape *shape, uint32_t column_bytes)
{
    return (size_t)column_bytes * mp_conv_cols(shape) + mp_conv2d_s8_ref_workspace(shape);
}

/* `used`: called by assembler code, which the linker does not look into. */
__attribute__((used)) void mp_tile8_store_plain(const int32_t *sums, const mp_row *row, int8_t *out,
                                                const mp_tile8_out *to)
{
    for (uint32_t i = 0; i < to->count; i++, out += to->stride) {
        const int32_t value = mp_requant(sums[i] / 2, row->mult, -(int8_t)row->right) + to->out_zp;
        *out = (int8_t)mp_clamp(value, INT8_MIN, INT8_MAX);
    }
}

const uint8_t *mp_tile8_gap_one(const uint8_t *stream, const int8_t *x, const mp_row *row, int32_t *sums)
{
    const int8_t *weight = (const int8_t *)stream + 1;
    int32_t sum = row->bias;
    uint32_t n = row->pairs;
    for (; n >= 4; n -= 4, stream += 8, weight += 8) {
        x += stream[0];
        sum += *x++ * weight[0];
        x += stream[2];
        sum += *x++ * weight[2];
        x += stream[4];
        sum += *x++ * weight[4];
        x += stream[6];
        sum += *x++ * weight[6];
    }
    for (; n > 0; n--, stream += 2, weight += 2) {
        x += *stream;
        sum += *x++ * *weight;
    }
    *sums = 2 * sum;
    return stream;
}

const uint8_t *mp_tile8_dense_one(const uint8_t *stream, const int8_t *x, const mp_row *row, int32_t *sums)
{
    const int8_t *weight = (const int8_t *)stream;
    int32_t sum = row->bias;
    uint32_t n = row->pairs;
    for (; n >= 4; n -= 4, x += 4, weight += 4)
        sum += x[0] * weight[0] + x[1] * weight[1] + x[2] * weight[2] + x[3] * weight[3];
    for (; n > 0; n--)
        sum += *x++ * *weight++;
    *sums = 2 * sum;
    return stream + row->pairs;
}

void mp_tile8_each_row(const mp_tile8_job *job, mp_tile8_walk *walk, mp_tile8_store *quick)
{
    const uint8_t *stream = job->stream;
    int8_t *out = job->last - (job->to.count - 1) * job->to.stride;
    int32_t sums[MP_TILE8];
    for (const mp_row *row = job->row; row != job->end; row++) {
        stream = walk(stream, job->tile, row, sums);
        mp_tile8_store_of(quick, row)(sums, row, out++, &job->to);
    }
}

/* The column of a position: where it lies in the input, or gathered into `scratch`. */
static const int8_t *column(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *scratch)
{
    if (mp_conv_is_pointwise(shape)) return in + position * shape->in_ch;
    mp_im2col_s8(shape, in, position, scratch);
    return scratch;
}

static void tile_of_rows(const mp_conv2d_s8_tile8 *op, const mp_tile8 *core, const int8_t *in, uint32_t position,
                         uint32_t count, int8_t *out, int32_t *tile)
{
    const uint32_t cols = mp_conv_cols(&op->shape), rows = op->shape.out_ch;
    int8_t *scratch = (int8_t *)tile + core->column_bytes * cols;

    for (uint32_t i = 0; i < count; i += 2) {
        const int8_t *x0 = column(&op->shape, in, position + i, scratch), *x1 = x0;
        if (i + 1 < count) x1 = column(&op->shape, in, position + i + 1, scratch + cols);
        core->pack(x0, x1, cols, i / 2, tile);
    }
    int8_t *const last = out + (count - 1) * rows;
    const mp_tile8_job job = {op->stream, tile, op->rows, op->rows + rows, last, {rows, count, op->out_zp}};
    core->rows(&job);
}

static void position_of_rows(const mp_conv2d_s8_tile8 *op, const mp_tile8 *core, const int8_t *in, uint32_t position,
                             int8_t *out, int32_t *tile)
{
    const uint32_t cols = mp_conv_cols(&op->shape), rows = op->shape.out_ch;
    int8_t *x = (int8_t *)tile; /* apart from the input, which the output may overwrite */
    if (mp_conv_is_pointwise(&op->shape)) {
        memcpy(x, in + position * cols, cols);
    } else {
        mp_im2col_s8(&op->shape, in, position, x);
    }
    const mp_tile8_out to = {1, 1, op->out_zp};
    const uint8_t *stream = op->stream;
    const mp_row *row = op->rows;
    for (uint32_t o = 0; o < rows; o++, row++) {
        int32_t sum;
        stream = core->walk_one(stream, x, row, &sum);
        mp_tile8_store_of(core->store, row)(&sum, row, out + o, &to);
    }
}

void mp_tile8_conv2d_s8(const mp_conv2d_s8_tile8 *op, const mp_tile8 *core, const int8_t *in, int8_t *out,
                        void *workspace)
{
    const uint32_t positions = (uint32_t)op->shape.out_h * op->shape.out_w, rows = op->shape.out_ch;
    uint32_t p = 0;
    for (; p + LONGEST_TAIL < positions; p += MP_TILE8) {
        const uint32_t count = positions - p < MP_TILE8 ? positions - p : MP_TILE8;
        tile_of_rows(op, core, in, p, count, out + p * rows, workspace);
    }
    for (; p < positions; p++)
        position_of_rows(op, core, in, p, out + p * rows, workspace);
    mp_clamp_range(out, (size_t)positions * rows, op->act_min, op->act_max);
}
