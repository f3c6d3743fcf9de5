"""Portable kernels: what the others equal."""

from __future__ import annotations

from mcuprune.kernels.kernel import Kernel, elementwise, halving
from mcuprune.kernels.params import Geometry


def two_columns(geometry: Geometry) -> int:
    """mp_conv2d_s8_ref_workspace(): two im2col columns in whole words, none for a pointwise convolution."""
    return 0 if geometry.pointwise else -(-2 * geometry.cols // 4) * 4


def _taps(geometry: Geometry) -> int:
    """mp_depthwise_conv2d_s8_ref_workspace(): 8 bytes for each tap."""
    return 8 * geometry.depthwise_taps


def _lstm(geometry: Geometry) -> int:
    """mp_lstm_s8_ref_workspace(), mp_lstm_norm_s8_ref_workspace(): sums of gates, and hidden values to project."""
    return geometry.cols


KERNELS: tuple[Kernel, ...] = (
    Kernel("conv2d_s8", "dense", "ref", two_columns, walks=halving(2, 2)),
    Kernel("conv2d_s8", "bitmap", "ref", two_columns, walks=halving(4, 2)),
    Kernel("conv2d_s8", "gap", "ref", two_columns, walks=halving(4, 2)),
    Kernel("conv2d_s8", "rice", "ref", two_columns, walks=halving(4, 2)),
    Kernel("conv2d_s8", "block", "ref", two_columns, walks=halving(4, 2)),
    Kernel("depthwise_conv2d_s8", "dense", "ref", _taps),
    Kernel("grouped_conv2d_s8", "dense", "ref"),
    Kernel("transpose_conv_s8", "dense", "ref"),
    Kernel("conv2d_s16s8", "dense", "ref"),
    Kernel("depthwise_conv2d_s16s8", "dense", "ref"),
    Kernel("transpose_conv_s16s8", "dense", "ref"),
    Kernel("fully_connected_s16s8", "dense", "ref"),
    Kernel("batch_matmul_s8", "", "ref"),
    Kernel("batch_matmul_s16", "", "ref"),
    Kernel("fully_connected_s8", "dense", "ref"),
    Kernel("fully_connected_s8", "bitmap", "ref"),
    Kernel("fully_connected_s8", "gap", "ref"),
    Kernel("fully_connected_s8", "rice", "ref"),
    Kernel("fully_connected_s8", "block", "ref"),
    Kernel("average_pool_s8", "", "ref"),
    Kernel("max_pool_s8", "", "ref"),
    Kernel("average_pool_s16", "", "ref", struct="mp_average_pool_s8"),
    Kernel("max_pool_s16", "", "ref", struct="mp_max_pool_s8"),
    Kernel("mean_s8", "", "ref"),
    Kernel("mean_s16", "", "ref", struct="mp_mean_s8"),
    Kernel("reduce_extreme_s8", "", "ref"),
    Kernel("reduce_extreme_s16", "", "ref", struct="mp_reduce_extreme_s8"),
    Kernel("reduce_prod_s8", "", "ref", struct="mp_mean_s8"),
    Kernel("reduce_prod_s16", "", "ref", struct="mp_mean_s8"),
    Kernel("arg_extreme_s8_s32", "", "ref", struct="mp_arg_extreme_s8"),
    Kernel("arg_extreme_s8_s64", "", "ref", struct="mp_arg_extreme_s8"),
    Kernel("softmax_s8", "", "ref"),
    Kernel("softmax_s8_s16", "", "ref", struct="mp_softmax_s8"),
    Kernel("softmax_s16", "", "ref"),
    Kernel("log_softmax_s8", "", "ref"),
    Kernel("l2_normalization_s8", "", "ref"),
    Kernel("add_s8", "", "ref", in_place=elementwise),
    Kernel("mul_s8", "", "ref", in_place=elementwise),
    Kernel("sub_s8", "", "ref", in_place=elementwise, struct="mp_add_s8"),
    Kernel("squared_difference_s8", "", "ref", in_place=elementwise, struct="mp_add_s8"),
    Kernel("add_s16", "", "ref", in_place=elementwise, struct="mp_add_s8"),
    Kernel("mul_s16", "", "ref", in_place=elementwise, struct="mp_mul_s8"),
    Kernel("sub_s16", "", "ref", in_place=elementwise, struct="mp_add_s8"),
    Kernel("add_pot_s16", "", "ref", in_place=elementwise),
    Kernel("div_s8", "", "ref", in_place=elementwise, struct="mp_mul_s8"),
    Kernel("minimum_s8", "", "ref", in_place=elementwise, struct="mp_broadcast"),
    Kernel("maximum_s8", "", "ref", in_place=elementwise, struct="mp_broadcast"),
    Kernel("minimum_s16", "", "ref", in_place=elementwise, struct="mp_broadcast"),
    Kernel("maximum_s16", "", "ref", in_place=elementwise, struct="mp_broadcast"),
    Kernel("prelu_s8", "", "ref", in_place=elementwise),
    Kernel("lut_s8", "", "ref", in_place=elementwise),
    Kernel("lut_s16", "", "ref", in_place=elementwise),
    Kernel("slopes_s16", "", "ref", in_place=elementwise),
    Kernel("sigmoid_s16", "", "ref", in_place=elementwise),
    Kernel("pad", "", "ref"),
    Kernel("copy", "", "ref"),
    Kernel("gather", "", "ref"),
    Kernel("lookup", "", "ref"),
    Kernel("resize_bilinear_s8", "", "ref"),
    Kernel("resize_bilinear_s16", "", "ref", struct="mp_resize_bilinear_s8"),
    Kernel("concatenation", "", "ref", takes_list=True),
    Kernel("requantize_s8", "", "ref", in_place=elementwise),
    Kernel("requantize_s16", "", "ref", in_place=elementwise, struct="mp_requantize_s8"),
    Kernel("quantize_f32_s8", "", "ref", struct="mp_affine"),
    Kernel("quantize_f32_u8", "", "ref", struct="mp_affine"),
    Kernel("quantize_f32_s16", "", "ref", struct="mp_affine"),
    Kernel("dequantize_s8_f32", "", "ref", struct="mp_affine"),
    Kernel("dequantize_u8_f32", "", "ref", struct="mp_affine"),
    Kernel("dequantize_s16_f32", "", "ref", struct="mp_affine"),
    Kernel("requantize_any", "", "ref"),
    Kernel("cast_any", "", "ref"),
    Kernel("compare_s8", "", "ref"),
    Kernel("compare_u8", "", "ref", struct="mp_compare_s8"),
    Kernel("compare_s16", "", "ref", struct="mp_compare_s8"),
    Kernel("compare_any", "", "ref"),
    Kernel("logical_bool", "", "ref"),
    Kernel("select_any", "", "ref"),
    Kernel("svdf_s8", "", "ref"),
    Kernel("lstm_s8", "", "ref", _lstm),
    Kernel("lstm_norm_s8", "", "ref", _lstm),
    Kernel("lstm_s16s8", "", "ref"),
)
