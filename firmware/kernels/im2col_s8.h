/* im2col_s8.h: one output position's window as a column, in the order of a weight row (kernel_h, kernel_w, in_ch). */
#ifndef MCUPRUNE_IM2COL_S8_H
#define MCUPRUNE_IM2COL_S8_H

#include "mcuprune_nn.h"

/* Elements of a column = elements of a weight row. */
static inline uint32_t mp_conv_cols(const mp_conv_shape *shape)
{
    return (uint32_t)shape->kernel_h * shape->kernel_w * shape->in_ch;
}

/* 1 where each column lies in the input as it is: 1x1, stride 1, no padding. */
static inline int mp_conv_is_pointwise(const mp_conv_shape *shape)
{
    return shape->kernel_h == 1 && shape->kernel_w == 1 && shape->stride_h == 1 && shape->stride_w == 1 &&
           shape->pad_top == 0 && shape->pad_left == 0 && shape->out_h == shape->in_h && shape->out_w == shape->in_w;
}

/* Fills column (mp_conv_cols() bytes) for output position y * out_w + x; outside the input it holds pad_value. */
void mp_im2col_s8(const mp_conv_shape *shape, const int8_t *in, uint32_t position, int8_t *column);

/* The next columns of a sparse reference kernel: 1, 2 or 4 of them from `position` on, one after the other at *columns.
 * They lie in the input where the convolution is pointwise, else in the workspace, which holds two. */
uint32_t mp_next_columns_s8(const mp_conv_shape *shape, const int8_t *in, uint32_t position, void *workspace,
                            const int8_t **columns);

#endif
