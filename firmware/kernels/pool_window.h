/* pool_window.h: the part of a pooling window that lies inside the input. */
#ifndef MCUPRUNE_POOL_WINDOW_H
#define MCUPRUNE_POOL_WINDOW_H

#include "mcuprune_nn.h"

typedef struct {
    uint32_t first;         /* elements to its first pixel */
    uint32_t height, width; /* at least one pixel */
} mp_pool_window;

static inline mp_pool_window mp_pool_window_at(const mp_conv_shape *shape, int32_t oy, int32_t ox)
{
    const int32_t y = oy * shape->stride_h - shape->pad_top, x = ox * shape->stride_w - shape->pad_left;
    const int32_t y_begin = y < 0 ? 0 : y, x_begin = x < 0 ? 0 : x;
    const int32_t y_end = y + shape->kernel_h > shape->in_h ? shape->in_h : y + shape->kernel_h;
    const int32_t x_end = x + shape->kernel_w > shape->in_w ? shape->in_w : x + shape->kernel_w;
    const mp_pool_window window = {.first = (uint32_t)(y_begin * shape->in_w + x_begin) * shape->in_ch,
                                   .height = (uint32_t)(y_end - y_begin),
                                   .width = (uint32_t)(x_end - x_begin)};
    return window;
}

#endif
