/* mcuprune_nn.h: int8 neural network kernels for Cortex-M, dense and sparse.
 *
 * Every kernel equals TensorFlow Lite's reference kernels (BUILTIN_REF) bit for bit. Names are
 * mp_<op>_<dtype>_<encoding>_<isa>; `ref` is portable C11, the other variants equal it.
 *
 * Layouts: activations NHWC with batch 1, weights OHWI seen as rows: row o holds the kernel_h * kernel_w * in_ch
 * weights of output channel o, in the order of an im2col column. real = scale * (q - zero_point).
 *
 * Ranges: multipliers are Q31 in [2^30, 2^31) or 0 (MEAN: from 2^29); shift is in [-31, 30], positive is left. Biases
 * already hold -in_zp * sum(row): kernels multiply stored int8 values, and padding holds in_zp.
 *
 * No kernel allocates, recurses or keeps state (recurrent ones are handed what they read and write over); in and out
 * never overlap unless a kernel says so. `workspace` is 4-byte aligned scratch of the size that the kernel's
 * _workspace() function gives; it may be NULL where that is 0. The families of kernels have headers of their own, which
 * this one includes. */
#ifndef MCUPRUNE_NN_H
#define MCUPRUNE_NN_H

#include <stddef.h>
#include <stdint.h>

#define MP_ABI 4

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    MP_OK = 0,
    MP_STOPPED = 1, /* a layer observer asked to stop */
    MP_BAD_ARGUMENT = 2
} mp_status;

/* Geometry of a 2-D convolution or pooling window. */
typedef struct {
    uint16_t in_h, in_w, in_ch;
    uint16_t out_h, out_w, out_ch;
    uint16_t kernel_h, kernel_w;
    uint16_t stride_h, stride_w;
    uint16_t dilation_h, dilation_w;
    int16_t pad_top, pad_left;
    int8_t pad_value; /* in_zp: what lies outside the input */
} mp_conv_shape;

/* What happens to an accumulator: out = clamp(requant(acc, mult[o], shift[o]) + out_zp, act_min, act_max). */
typedef struct {
    const int32_t *bias; /* one per output channel, zero point folded in */
    const int32_t *mult; /* one per output channel, Q31 */
    const int8_t *shift; /* one per output channel, positive is left */
    int32_t out_zp;
    int32_t act_min, act_max;
} mp_rescale;

/* Types of elements, for kernels that stand at a model's edge and take any. bool is a byte of 0 or 1. */
typedef enum { MP_INT8, MP_UINT8, MP_INT16, MP_INT32, MP_INT64, MP_BOOL, MP_FLOAT32 } mp_element;

#ifdef __cplusplus
}
#endif

#include "mcuprune_nn_weighted.h"
#include "mcuprune_nn_reductions.h"
#include "mcuprune_nn_elementwise.h"
#include "mcuprune_nn_moves.h"
#include "mcuprune_nn_conversions.h"
#include "mcuprune_nn_recurrent.h"

#include "mcuprune_nn_dsp.h"
#include "mcuprune_nn_mve.h"
#include "mcuprune_nn_armv6m.h"
#include "mcuprune_nn_armv7m.h"

#endif
