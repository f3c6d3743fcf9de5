"""Features of Arm's keyword models: 49 frames of 10 MFCCs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
CLIP = RATE_HZ
"""Samples of a clip: one second."""
FRAMES, COEFFICIENTS = 49, 10
_WINDOW, _STRIDE = 640, 320  # samples: 40 ms every 20 ms


def arm_mfcc(clips: NDArray[np.int16]) -> NDArray[np.float32]:
    """Windows of 40 ms every 20 ms, 40 mel bands of 20 to 4000 Hz, the first 10 coefficients.

    Args:
        clips: int16 (n, 16000), one second each at 16 kHz.
    Returns:
        float32 (n, 49, 10).
    Raises:
        ToolMissingError: TensorFlow is not installed; its operators define these features.
    Source: input_data.py of Arm's ML-KWS-for-MCU: AudioSpectrogram and Mfcc with their defaults.
    """
    from mcuprune.sparsity.runtime import require_tensorflow

    require_tensorflow("compute the features of audio")
    import tensorflow as tf

    if not len(clips):
        return np.zeros((0, FRAMES, COEFFICIENTS), np.float32)
    audio: Any = tf.constant(clips.T.astype(np.float32) / 32768)  # clips travel as channels
    spectrogram = tf.raw_ops.AudioSpectrogram(input=audio, window_size=_WINDOW, stride=_STRIDE, magnitude_squared=True)
    mfcc = tf.raw_ops.Mfcc(spectrogram=spectrogram, sample_rate=RATE_HZ, dct_coefficient_count=COEFFICIENTS)
    return np.asarray(mfcc, np.float32)
