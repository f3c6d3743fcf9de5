/* mcuprune_nn_moves.h: values that move: padding, copies, tables, resizing. Included by mcuprune_nn.h. */
#ifndef MCUPRUNE_NN_MOVES_H
#define MCUPRUNE_NN_MOVES_H

#ifndef MCUPRUNE_NN_H
#error "include mcuprune_nn.h"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Padding with a constant, up to 4 dimensions (leading ones are 1), the last one in bytes. */
typedef struct {
    uint32_t in_dims[4];
    uint32_t before[4], after[4];
    uint8_t value[8]; /* of which the first `period` bytes repeat: an element's, or 1 where they are all the same */
    uint8_t period;
} mp_pad;

void mp_pad_ref(const mp_pad *op, const void *in, void *out);

/* Kernels that move bytes, for elements of any size.
 *
 * Nested loops: bytes [0, run) of output element (i, ..., n) come from in + start + i * strides[0] + ... + n * strides[5].
 * Slices, transpositions, repetitions. */
typedef struct {
    uint32_t dims[6];   /* of the output, leading ones are 1 */
    int32_t strides[6]; /* bytes, 0 repeats, negative goes backwards */
    uint32_t start;     /* bytes */
    uint32_t run;       /* bytes that lie side by side in both */
} mp_copy;

void mp_copy_ref(const mp_copy *op, const void *in, void *out);

/* Indices of each dimension: `run` bytes of output element (i, j, k, l) come from in + the i-th offset of the first
 * dimension + the j-th of the second + ... */
typedef struct {
    uint32_t dims[4];        /* of the output, leading ones are 1 */
    uint32_t run;            /* bytes */
    const uint32_t *offsets; /* bytes: dims[0] of the first dimension, then dims[1] of the second, ... */
} mp_gather;

void mp_gather_ref(const mp_gather *op, const void *in, void *out);

/* Tensors side by side: each of `rows` rows of the output is widths[0] bytes of in[0], widths[1] of in[1], ... Where there
 * is one row, an input may lie in its place inside the output; elsewhere none overlaps it. */
typedef struct {
    uint32_t rows, parts;
    const uint32_t *widths; /* bytes */
} mp_concatenation;

void mp_concatenation_ref(const mp_concatenation *op, const void *const *in, void *out);

/* Bilinear interpolation between pixels: output (i, j) lies at input (i * step_h + start_h, j * step_w + start_w), in units of
 * 1/1024 pixel. */
typedef struct {
    uint16_t in_h, in_w, out_h, out_w, ch;
    int32_t step_h, step_w;
    int32_t start_h, start_w;
} mp_resize_bilinear_s8;

void mp_resize_bilinear_s8_ref(const mp_resize_bilinear_s8 *op, const int8_t *in, int8_t *out);
void mp_resize_bilinear_s16_ref(const mp_resize_bilinear_s8 *op, const int16_t *in, int16_t *out);

/* Rows of a table at computed positions, as int16, int32 or int64. Those out of range take the nearest that is in it. */
typedef struct {
    uint32_t batches, outer, count, depth; /* depth: positions that name a row */
    uint32_t sizes[4];                     /* those behind depth are 1 */
    uint32_t run;                          /* bytes of a row */
    mp_element positions;
    uint32_t from_end; /* positions below 0 count from the end */
} mp_lookup;

void mp_lookup_ref(const mp_lookup *op, const void *in, const void *positions, void *out);

#ifdef __cplusplus
}
#endif

#endif
