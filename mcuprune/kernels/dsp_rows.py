"""What rows of weights must keep for the quick requantization of the DSP kernels."""

from __future__ import annotations

from mcuprune.kernels.params import LayerParams

RIGHT = (2, 22)
ACC_BOUND = 2**30


def rows_hold(params: LayerParams) -> str | None:
    """Whether out = (high * (2^(32 - right) + 1) + 2^31) / 2^32 + out_zp is the second rounding of every row.

    high is the result of the first rounding. 2^(32 - right) alone sends halves up; the 1 takes those below zero down,
    and moves nothing else where |high| < 2^(32 - right). The accumulator must bear to be doubled. Multipliers of 0
    always do.
    """
    arrays = {array.member: array.data for array in params.arrays}
    rows = zip(arrays["rescale.mult"].tolist(), arrays["rescale.shift"].tolist(), params.row_bound, strict=True)
    for mult, shift, bound in rows:
        if bound >= ACC_BOUND:
            return f"an accumulator can reach {bound}, {ACC_BOUND - 1} can be doubled"
        if mult and not RIGHT[0] <= -shift <= RIGHT[1]:
            return f"a row is shifted by {shift}, not right by {RIGHT[0]} to {RIGHT[1]}"
        if mult and (bound * mult >> 31) + 1 >= 2 ** (32 + shift):
            return f"an accumulator can reach {bound}, too much for a shift by {shift}"
    return None
