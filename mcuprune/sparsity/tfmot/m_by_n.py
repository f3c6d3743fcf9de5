"""Whether weights have m zeros in each n. Pure numpy."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from mcuprune.errors import UsageError


def is_pruned_m_by_n(weights: Any, m_by_n: tuple[int, int] = (2, 4), last_channel: str = "C_OUT") -> bool:
    """Whether each n consecutive input channels have at least m zeros; the last group may be shorter, and needs fewer.

    Args:
        weights: an array or variable. `C_OUT`: of Keras, (inputs, outputs), (H, W, inputs, outputs) or any shape that
            ends in these; `C_IN`: of TensorFlow Lite, (outputs, inputs) or (outputs, H, W, inputs).
    Raises:
        UsageError: m > n, another last_channel, or fewer than two axes.
    """
    if not isinstance(m_by_n, (tuple, list)) or len(m_by_n) != 2 or not all(isinstance(n, Integral) for n in m_by_n):
        raise UsageError(f"m_by_n is a pair of integers, got {m_by_n!r}", hint="m_by_n=(2, 4)")
    zeros, group = m_by_n
    if not 0 <= zeros <= group or group < 1:
        raise UsageError(f"m_by_n {tuple(m_by_n)}: m zeros in n weights need 0 <= m <= n", hint="(2, 4) is usual")
    if last_channel not in ("C_OUT", "C_IN"):
        raise UsageError(f"last_channel {last_channel!r} is not known", hint="C_OUT: Keras, C_IN: TensorFlow Lite")
    values = np.asarray(weights)
    if values.ndim < 2:
        raise UsageError(f"weights of shape {values.shape} have no input channels", hint="two or more axes")
    lines = (values if last_channel == "C_IN" else np.moveaxis(values, -1, 0)) != 0
    lines = lines.reshape(-1, lines.shape[-1])
    filled = np.pad(lines, ((0, 0), (0, -lines.shape[1] % group)))
    return bool((filled.reshape(-1, group).sum(axis=1) <= group - zeros).all())
