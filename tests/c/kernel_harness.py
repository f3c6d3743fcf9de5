"""The C kernels from Python: one shared library of firmware/kernels, called through ctypes with numpy arrays.

Structures mirror firmware/include/mcuprune_nn.h; `abi.c` below asserts their sizes. Every array that a kernel sees lies
between two guards of one byte value, and every call is made twice with other guards: a write beside an array shows in
the guard, a read beside it in results that differ.
"""

from __future__ import annotations

import ctypes as ct
import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kernel_cases
import numpy as np
import numpy.typing as npt
from c_build import FIRMWARE, WARNINGS

from mcuprune.encodings import Encoded

GUARD_BYTES = 256
Int8 = npt.NDArray[np.int8]


class ConvShape(ct.Structure):
    """mp_conv_shape."""

    _fields_ = (
        *((name, ct.c_uint16) for name in ("in_h", "in_w", "in_ch", "out_h", "out_w", "out_ch")),
        *((name, ct.c_uint16) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "dilation_h", "dilation_w")),
        ("pad_top", ct.c_int16),
        ("pad_left", ct.c_int16),
        ("pad_value", ct.c_int8),
    )


class Rescale(ct.Structure):
    """mp_rescale."""

    _fields_ = (
        ("bias", ct.c_void_p),
        ("mult", ct.c_void_p),
        ("shift", ct.c_void_p),
        ("out_zp", ct.c_int32),
        ("act_min", ct.c_int32),
        ("act_max", ct.c_int32),
    )


class Conv(ct.Structure):
    """mp_conv2d_s8_dense and mp_depthwise_conv2d_s8_dense."""

    _fields_ = (("shape", ConvShape), ("rescale", Rescale), ("weights", ct.c_void_p))


class FcShape(ct.Structure):
    """mp_fc_shape."""

    _fields_ = (
        ("batches", ct.c_uint32),
        ("cols", ct.c_uint32),
        ("rows", ct.c_uint32),
        ("single_rounding", ct.c_uint8),
    )


class FullyConnected(ct.Structure):
    """mp_fully_connected_s8_dense."""

    _fields_ = (("shape", FcShape), ("rescale", Rescale), ("weights", ct.c_void_p))


class Bitmap(ct.Structure):
    """mp_bitmap."""

    _fields_ = (("mask", ct.c_void_p), ("nz", ct.c_void_p))


class Gap(ct.Structure):
    """mp_gap."""

    _fields_ = (("row_nnz", ct.c_void_p), ("pairs", ct.c_void_p))


class Rice(ct.Structure):
    """mp_rice."""

    _fields_ = (*((name, ct.c_void_p) for name in ("row_nnz", "bits", "nz")), ("k", ct.c_uint8))


class Block(ct.Structure):
    """mp_block."""

    _fields_ = (
        *((name, ct.c_void_p) for name in ("row_blocks", "gap", "values")),
        *((name, ct.c_uint8) for name in ("block_rows", "block_cols")),
    )


_WEIGHTS = {"bitmap": Bitmap, "gap": Gap, "rice": Rice, "block": Block}


@functools.cache
def _layer(shape: type[ct.Structure], encoding: str) -> type[ct.Structure]:
    """mp_conv2d_s8_<encoding> or mp_fully_connected_s8_<encoding>."""
    fields = (("shape", shape), ("rescale", Rescale), ("weights", _WEIGHTS[encoding]))
    return type(f"{shape.__name__}_{encoding}", (ct.Structure,), {"_fields_": fields})


class AveragePool(ct.Structure):
    """mp_average_pool_s8."""

    _fields_ = (("shape", ConvShape), ("act_min", ct.c_int32), ("act_max", ct.c_int32))


Four = ct.c_uint32 * 4


class Mean(ct.Structure):
    """mp_mean_s8."""

    _fields_ = (
        *((name, ct.c_uint32 * 4) for name in ("kept", "kept_stride", "reduced", "reduced_stride")),
        *((name, ct.c_int32) for name in ("in_zp", "out_zp", "mult", "shift")),
    )


class Softmax(ct.Structure):
    """mp_softmax_s8."""

    _fields_ = (
        ("rows", ct.c_uint32),
        ("cols", ct.c_uint32),
        ("mult", ct.c_int32),
        ("shift", ct.c_int32),
        ("diff_min", ct.c_int32),
    )


class Add(ct.Structure):
    """mp_add_s8."""

    _fields_ = (
        *((name, ct.c_uint32 * 4) for name in ("dims", "stride1", "stride2")),
        *((name, ct.c_int32) for name in ("in1_offset", "in2_offset", "mult1", "shift1", "mult2", "shift2")),
        *((name, ct.c_int32) for name in ("out_mult", "out_shift", "left_shift", "out_zp", "act_min", "act_max")),
    )


class Pad(ct.Structure):
    """mp_pad."""

    _fields_ = (
        *((name, ct.c_uint32 * 4) for name in ("in_dims", "before", "after")),
        ("value", ct.c_uint8 * 8),
        ("period", ct.c_uint8),
    )


class Requantize(ct.Structure):
    """mp_requantize_s8."""

    _fields_ = (
        ("size", ct.c_uint32),
        *((name, ct.c_int32) for name in ("in_zp", "out_zp", "mult", "shift", "act_min", "act_max")),
    )


class Affine(ct.Structure):
    """mp_affine."""

    _fields_ = (("size", ct.c_uint32), ("scale", ct.c_float), ("zp", ct.c_int32))


_STRUCTS = {
    "mp_conv_shape": ConvShape,
    "mp_rescale": Rescale,
    "mp_conv2d_s8_dense": Conv,
    "mp_depthwise_conv2d_s8_dense": Conv,
    "mp_fully_connected_s8_dense": FullyConnected,
    "mp_average_pool_s8": AveragePool,
    "mp_mean_s8": Mean,
    "mp_softmax_s8": Softmax,
    "mp_add_s8": Add,
    **{f"mp_conv2d_s8_{e}": _layer(ConvShape, e) for e in _WEIGHTS},
    **{f"mp_fully_connected_s8_{e}": _layer(FcShape, e) for e in _WEIGHTS},
    "mp_pad": Pad,
    "mp_requantize_s8": Requantize,
    "mp_affine": Affine,
}


@functools.cache
def library() -> ct.CDLL:
    """All kernels, compiled once a session; undefined behaviour traps."""
    with tempfile.TemporaryDirectory() as folder:
        abi = Path(folder) / "abi.c"
        abi.write_text(
            '#include "mcuprune_nn.h"\n'
            + "".join(f'_Static_assert(sizeof({n}) == {ct.sizeof(s)}, "{n}");\n' for n, s in _STRUCTS.items())
        )
        output = Path(folder) / "kernels.so"
        command = ["cc", *WARNINGS, "-O2", "-shared", "-fPIC"]
        command += ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
        command += [f"-I{FIRMWARE / part}" for part in ("include", "numerics", "kernels")]
        sources = [abi, *sorted((FIRMWARE / "kernels").glob("*.c"))]
        done = subprocess.run([*command, "-o", str(output), *map(str, sources)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return ct.CDLL(str(output))


class Guarded:
    """Copies of arrays between guards of one byte value, and the spaces that a kernel writes."""

    def __init__(self, guard: int) -> None:
        self.guard = guard
        self._blocks: list[npt.NDArray[np.uint8]] = []

    def _block(self, count: int) -> npt.NDArray[np.uint8]:
        raw = np.full(count + 2 * GUARD_BYTES + 16, self.guard, np.uint8)
        start = -raw.ctypes.data % 16
        block = raw[start : start + count + 2 * GUARD_BYTES]  # 16-byte aligned, as GUARD_BYTES is
        self._blocks.append(block)
        return block[GUARD_BYTES : GUARD_BYTES + count]

    def place(self, array: npt.NDArray[Any]) -> int:
        """Address of a copy."""
        inner = self._block(array.nbytes)
        inner[:] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        return int(inner.ctypes.data)

    def space(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array to be written, filled with the guard's value."""
        dtype = np.dtype(dtype)
        return self._block(int(np.prod(shape)) * dtype.itemsize).view(dtype).reshape(shape)

    def check(self) -> None:
        """No guard was written."""
        for block in self._blocks:
            for side in (block[:GUARD_BYTES], block[len(block) - GUARD_BYTES :]):
                assert (side == self.guard).all(), "a kernel wrote beside its array"


def twice(call: Callable[[Guarded], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The result of a call that is the same whatever lies beside its arrays."""
    results = []
    for guard in (0x7F, 0x91):
        memory = Guarded(guard)
        results.append(call(memory).copy())
        memory.check()
    assert results[0].tobytes() == results[1].tobytes(), (
        "the result depends on bytes beside the arrays, or was not written"
    )
    return results[0]


def _rescale(memory: Guarded, rescale: dict[str, Any]) -> Rescale:
    return Rescale(
        memory.place(np.asarray(rescale["bias"], np.int32)),
        memory.place(np.asarray(rescale["mult"], np.int32)),
        memory.place(np.asarray(rescale["shift"], np.int8)),
        rescale["out_zp"],
        rescale["act_min"],
        rescale["act_max"],
    )


def _encoded(memory: Guarded, encoded: Encoded) -> ct.Structure:
    """mp_bitmap, mp_gap, mp_rice or mp_block with its arrays."""
    arrays = {array.member: memory.place(array.data) for array in encoded.arrays}
    return _WEIGHTS[kernel_cases.c_encoding(encoded)](**arrays, **encoded.scalars)


def run_conv(name: str, shape: dict[str, int], x: Int8, weights: Int8 | Encoded, rescale: dict[str, Any]) -> Int8:
    """A convolution or depthwise convolution on one image, with a workspace of exactly its size."""

    def call(memory: Guarded) -> Int8:
        parts = (ConvShape(**shape), _rescale(memory, rescale))
        if isinstance(weights, Encoded):
            op = _layer(ConvShape, kernel_cases.c_encoding(weights))(*parts, _encoded(memory, weights))
        else:
            op = Conv(*parts, memory.place(weights))
        count = conv_workspace(name, shape)
        workspace = memory.space((count,), np.uint8).ctypes.data if count else None
        out = memory.space((shape["out_h"], shape["out_w"], shape["out_ch"]), np.int8)
        getattr(library(), f"mp_{name}")(
            ct.byref(op), ct.c_void_p(memory.place(x)), ct.c_void_p(out.ctypes.data), ct.c_void_p(workspace)
        )
        return out

    return twice(call)


def conv_workspace(name: str, shape: dict[str, int]) -> int:
    """What the C function promises for a kernel; all reference kernels of a family share one."""
    family, _, isa = name.rsplit("_", 2)
    function = getattr(library(), f"mp_{family}_ref_workspace" if isa == "ref" else f"mp_{name}_workspace")
    function.restype = ct.c_size_t
    return int(function(ct.byref(ConvShape(**shape))))


def run_fully_connected(x: Int8, weights: Int8 | Encoded, rescale: dict[str, Any], single_rounding: int) -> Int8:
    """fully_connected_s8_<encoding>_ref. x: (batches, cols), weights: (rows, cols)."""
    batches, cols = x.shape
    rows = weights.shape[0]

    def call(memory: Guarded) -> Int8:
        parts = (FcShape(batches, cols, rows, single_rounding), _rescale(memory, rescale))
        encoding = "dense"
        if isinstance(weights, Encoded):
            encoding = kernel_cases.c_encoding(weights)
            op = _layer(FcShape, encoding)(*parts, _encoded(memory, weights))
        else:
            op = FullyConnected(*parts, memory.place(weights))
        out = memory.space((batches, rows), np.int8)
        getattr(library(), f"mp_fully_connected_s8_{encoding}_ref")(
            ct.byref(op), ct.c_void_p(memory.place(x)), ct.c_void_p(out.ctypes.data)
        )
        return out

    return twice(call)


def run_elementwise(
    name: str,
    op: ct.Structure,
    inputs: list[npt.NDArray[Any]],
    out_shape: tuple[int, ...],
    dtype: npt.DTypeLike = np.int8,
) -> npt.NDArray[Any]:
    """A kernel whose structure holds no pointers: mp_<name>(&op, inputs..., out)."""

    def call(memory: Guarded) -> npt.NDArray[Any]:
        out = memory.space(out_shape, dtype)
        places = [ct.c_void_p(memory.place(x)) for x in inputs]
        getattr(library(), f"mp_{name}")(ct.byref(op), *places, ct.c_void_p(out.ctypes.data))
        return out

    return twice(call)


def run_in_place(name: str, op: ct.Structure, x: Int8) -> Int8:
    """The same with out = in."""

    def call(memory: Guarded) -> Int8:
        both = memory.space(x.shape, np.int8)
        both[...] = x
        getattr(library(), f"mp_{name}")(ct.byref(op), ct.c_void_p(both.ctypes.data), ct.c_void_p(both.ctypes.data))
        return both

    return twice(call)
