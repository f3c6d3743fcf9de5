/* 2-D convolution over gap-coded sparse rows, int8, for cores with the DSP extension. Equals conv2d_s8_gap_ref.c.
 *
 * A tile of 8 positions is packed into lane words, two positions each (mp_simd.h), and all rows run over it: one SMLAL
 * multiplies a weight with two positions. One or two positions that are left are done one by one.
 *
 * in: NHWC (in_h, in_w, in_ch); out: NHWC (out_h, out_w, out_ch); workspace: mp_conv2d_s8_gap_dsp_workspace(), the tile
 * and behind it two im2col columns. A tile is packed before its outputs are written: out may be in where the layer is
 * pointwise and out_ch <= in_ch. */
#include "clamp_s8.h"
#include "conv_lanes.h"

size_t mp_conv2d_s8_gap_dsp_workspace(const mp_conv_shape *shape)
{
    return sizeof(int32_t) * MP_TILE_WORDS * mp_conv_cols(shape) + mp_conv2d_s8_ref_workspace(shape);
}

void mp_conv2d_s8_gap_dsp(const mp_conv2d_s8_gap_lanes *op, const int8_t *in, int8_t *out, void *workspace)
{
    const mp_conv_shape *shape = &op->shape;
    const uint32_t positions = (uint32_t)shape->out_h * shape->out_w;
    int32_t *tile = workspace;
    int8_t *columns = (int8_t *)(tile + MP_TILE_WORDS * mp_conv_cols(shape));
    mp_gap_job job = {.tile = tile,
                      .pairs = op->pairs,
                      .rows = op->table.rows,
                      .out = out,
                      .out_ch = shape->out_ch,
                      .twice_zp_1 = 2 * op->table.out_zp + 1,
                      .rows_end = op->table.rows + op->table.count,
                      .tiles = 1};

    uint32_t p = 0;
    for (; p + 2 < positions; p += MP_TILE_POSITIONS) {
        job.count = positions - p < MP_TILE_POSITIONS ? positions - p : MP_TILE_POSITIONS;
        mp_pack_lanes(shape, in, p, job.count, tile, columns);
        mp_gap_tiles(&job);
        job.out += MP_TILE_POSITIONS * shape->out_ch;
    }
    mp_gap_last_positions(&job, shape, in, p, workspace); /* one or two: cheaper one by one */
    mp_clamp_range(out, (size_t)positions * shape->out_ch, op->table.act_min, op->table.act_max);
}
