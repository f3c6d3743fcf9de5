/* One kernel by itself: a 1x1 convolution of 8 channels to 2 over 3 pixels, most of its weights zero.
 *
 *   cc -std=c11 -Ifirmware/include -Ifirmware/numerics -Ifirmware/kernels -o sparse_1x1 examples/kernels/sparse_1x1.c \
 *      firmware/kernels/conv2d_s8_gap_ref.c firmware/kernels/im2col_s8.c && ./sparse_1x1
 *
 * Row 0 is 0 0 5 0 0 0 -3 0, row 1 is 7 0 0 0 0 0 0 1: pairs of the distance to the next nonzero, and its value. */
#include <stdio.h>

#include "mcuprune_nn.h"

static const uint16_t row_nnz[2] = {2, 2};
static const uint8_t pairs[8] = {2, 5, 4, (uint8_t)-3, 0, 7, 7, 1};
static const int32_t bias[2] = {100, -20};              /* - in_zp * sum(row) is added here; in_zp is 0 */
static const int32_t mult[2] = {1717986918, 1073741824}; /* scales 0.1 = mult * 2^(shift - 31), and 0.25 */
static const int8_t shift[2] = {-3, -1};

static const mp_conv2d_s8_gap layer = {
    .shape = {.in_h = 1, .in_w = 3, .in_ch = 8, .out_h = 1, .out_w = 3, .out_ch = 2, .kernel_h = 1, .kernel_w = 1,
              .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1},
    .rescale = {.bias = bias, .mult = mult, .shift = shift, .out_zp = -5, .act_min = -128, .act_max = 127},
    .weights = {.row_nnz = row_nnz, .pairs = pairs},
};

int main(void)
{
    const int8_t in[3 * 8] = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -8, 100, 0, 100, 0, 0, 0, -100, 0};
    int8_t out[3 * 2];
    if (mp_conv2d_s8_ref_workspace(&layer.shape) != 0) return 1; /* a 1x1 convolution needs no scratch */
    mp_conv2d_s8_gap_ref(&layer, in, out, NULL);
    for (int p = 0; p < 3; p++) printf("pixel %d: %4d %4d\n", p, out[2 * p], out[2 * p + 1]);
    return 0;
}
