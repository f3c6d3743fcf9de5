/* 2-D convolution over gap-coded sparse rows, int8, for ARMv7-M. Equals conv2d_s8_gap_ref.c.
 *
 *   sum[j][o] = sum over the lanes of acc[2 * j][o] + (acc[2 * j + 1][o] << 23) (mp_simd.h), acc as in the reference
 *
 * in, out: as in the reference. Preconditions and workspace: mcuprune_nn_armv7m.h. */
#include "mp_simd.h"
#include "mp_thumb.h"
#include "tile8_armv7m.h"

size_t mp_conv2d_s8_gap_armv7m_workspace(const mp_conv_shape *shape)
{
    return mp_tile8_workspace(shape, sizeof(int32_t) * MP_TILE8_ARMV7M_WORDS);
}

#if MP_THUMB2

/* One entry of a row: 9 instructions for 8 products. r0 stream, r1 tile, r2 weight. */
#define ENTRY                                                                                                         \
    "ldrb r4, [r0], #1\n"           /* columns to skip */                                                             \
    "ldrsb r2, [r0], #1\n"          /* weight */                                                                      \
    "add r1, r1, r4, lsl #4\n"                                                                                        \
    MP_TILE8_PRODUCTS

MP_NAKED static void all_rows(MP_UNUSED const mp_tile8_job *job)
{
    __asm volatile(MP_TILE8_ENTER MP_TILE8_LOOP(ENTRY) MP_TILE8_LEAVE);
}
#else
static const uint8_t *walk(const uint8_t *stream, const int32_t *tile, const mp_row *row, int32_t *sums)
{
    const int64_t bias = row->bias + (int64_t)row->bias * (1 << MP_LANE_SHIFT);
    int64_t sum[MP_TILE8_ARMV7M_WORDS] = {bias, bias, bias, bias};
    for (uint32_t n = row->pairs; n > 0; n--, stream += 2) {
        tile += (uint32_t)MP_TILE8_ARMV7M_WORDS * stream[0];
        for (uint32_t j = 0; j < MP_TILE8_ARMV7M_WORDS; j++)
            sum[j] = mp_smlal(sum[j], (int8_t)stream[1], *tile++);
    }
    for (uint32_t j = 0; j < MP_TILE8_ARMV7M_WORDS; j++) {
        sums[2 * j] = 2 * mp_lane_low(sum[j]);
        sums[2 * j + 1] = 2 * mp_lane_high(sum[j]);
    }
    return stream;
}

static void all_rows(const mp_tile8_job *job) { mp_tile8_each_row(job, walk, mp_tile8_store_armv7m); }
#endif

void mp_conv2d_s8_gap_armv7m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace)
{
    static const mp_tile8 core = {sizeof(int32_t) * MP_TILE8_ARMV7M_WORDS, mp_tile8_pack_armv7m, all_rows,
                                  mp_tile8_gap_one, mp_tile8_store_armv7m};
    mp_tile8_conv2d_s8(op, &core, in, out, workspace);
}
