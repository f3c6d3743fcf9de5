"""Packing of the dense fully-connected kernel for cores with the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mcuprune.encodings import Array, Encoding, Rows
from mcuprune.kernels.kernel import Kernel, Packed
from mcuprune.kernels.params import Geometry, LayerParams

ROWS = 4
ACC_BOUND = 2**30


def workspace(geometry: Geometry) -> int:
    """mp_fully_connected_s8_dense_dsp_workspace(): 8 bytes for each four columns."""
    return 8 * -(-geometry.cols // 4)


def obstacle(params: LayerParams) -> str | None:
    """Rounding once wants right shifts of at least 2, so that halves show in the upper word of the product."""
    arrays = {array.member: array.data for array in params.arrays}
    shape = params.fields["shape"]
    assert isinstance(shape, Mapping)
    shifts = arrays["rescale.shift"][arrays["rescale.mult"] != 0]
    if shape["single_rounding"] and shifts.size and shifts.max() > -2:
        return f"a row is shifted by {shifts.max()}, not right by 2 or more"
    worst = max(params.row_bound, default=0)
    return None if worst < ACC_BOUND else f"an accumulator can reach {worst}"


def words(rows: Rows) -> npt.NDArray[np.uint32]:
    """Rows as the kernel reads them.

    Args:
        rows: int8 (rows, cols).
    Returns:
        uint32: four weights a word, in its bytes w0 + 128, w1, w2 + 128, w3; four rows' words side by side, then
        the rows left over one by one.
    """
    count, cols = rows.shape
    padded = np.zeros((count, -(-cols // 4) * 4), np.uint8)
    padded[:, :cols] = rows.view(np.uint8)
    padded[:, ::2] += 128  # wraps
    packed = padded.view("<u4")
    whole = count // ROWS * ROWS
    together = packed[:whole].reshape(-1, ROWS, packed.shape[1]).transpose(0, 2, 1)
    return np.concatenate([together.reshape(-1), packed[whole:].reshape(-1)]).astype(np.uint32)


def pack(params: LayerParams, encoding: Encoding | None) -> Packed:
    """The layer's own arrays; biases take 128 times the sum of the odd columns' weights."""
    assert params.rows is not None
    odd = params.rows[:, 1::2].astype(np.int64).sum(axis=1)
    arrays = {array.member: array for array in params.arrays}
    bias = arrays["rescale.bias"].data.astype(np.int64) + 128 * odd
    arrays["rescale.bias"] = Array("rescale.bias", "int32_t", bias.astype(np.int32))
    flushed = arrays["rescale.mult"].data == 0  # any shift will do
    shift = np.where(flushed, -2, arrays["rescale.shift"].data).astype(np.int8)
    arrays["rescale.shift"] = Array("rescale.shift", "int8_t", shift)
    weights = Array("weights", "uint32_t", words(params.rows))
    return Packed({**params.fields, "weights": ""}, (*arrays.values(), weights), entries=int(params.rows.size))


KERNELS = (Kernel("fully_connected_s8", "dense", "dsp", workspace, obstacle, pack, struct="mp_fully_connected_s8_dsp"),)
