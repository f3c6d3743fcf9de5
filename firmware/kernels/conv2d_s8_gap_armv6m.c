/* 2-D convolution over gap-coded sparse rows, int8, for ARMv6-M. Equals conv2d_s8_gap_ref.c.
 *
 *   sums[i][o] = 2 * acc[i][o] of 8 positions i, acc as in the reference
 *
 * in, out: as in the reference. Preconditions and workspace: mcuprune_nn_armv6m.h. */
#include "mp_thumb.h"
#include "tile8_armv6m.h"

size_t mp_conv2d_s8_gap_armv6m_workspace(const mp_conv_shape *shape)
{
    return mp_tile8_workspace(shape, sizeof(int32_t) * MP_TILE8_ARMV6M_WORDS);
}

#if MP_THUMB1

/* One entry of a row: 25 instructions for 8 products. r0 stream, r1 tile, r2 skip and weight, r3 1. */
#define ENTRY                                                                                                         \
    "ldrb r2, [r0]\n"      /* columns to skip */                                                                      \
    "lsls r2, #5\n"                                                                                                   \
    "adds r1, r2\n"                                                                                                   \
    "ldrsb r2, [r0, r3]\n" /* weight */                                                                               \
    "adds r0, #2\n"                                                                                                   \
    MP_TILE8_PRODUCTS

MP_NAKED static const uint8_t *walk(MP_UNUSED const uint8_t *stream, MP_UNUSED const int32_t *tile,
                                    MP_UNUSED const mp_row *row, MP_UNUSED int32_t *sums)
{
    __asm volatile(MP_TILE8_ENTER("1") MP_TILE8_LOOP(ENTRY) MP_TILE8_LEAVE);
}
#else
static const uint8_t *walk(const uint8_t *stream, const int32_t *tile, const mp_row *row, int32_t *sums)
{
    for (uint32_t i = 0; i < MP_TILE8_ARMV6M_WORDS; i++)
        sums[i] = 2 * row->bias;
    for (uint32_t n = row->pairs; n > 0; n--, stream += 2) {
        tile += (uint32_t)MP_TILE8_ARMV6M_WORDS * stream[0];
        for (uint32_t i = 0; i < MP_TILE8_ARMV6M_WORDS; i++)
            sums[i] = mp_tile8_mla(sums[i], *tile++, (int8_t)stream[1]);
    }
    return stream;
}
#endif

static void all_rows(const mp_tile8_job *job) { mp_tile8_each_row(job, walk, mp_tile8_store_armv6m); }

void mp_conv2d_s8_gap_armv6m(const mp_conv2d_s8_tile8 *op, const int8_t *in, int8_t *out, void *workspace)
{
    static const mp_tile8 core = {sizeof(int32_t) * MP_TILE8_ARMV6M_WORDS, mp_tile8_pack_armv6m, all_rows,
                                  mp_tile8_gap_one, mp_tile8_store_armv6m};
    mp_tile8_conv2d_s8(op, &core, in, out, workspace);
}
