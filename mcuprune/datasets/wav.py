"""WAV files of speech data sets."""

from __future__ import annotations

import io
import wave

import numpy as np
from numpy.typing import NDArray

from mcuprune.errors import DataError


def read_wav(content: bytes, rate_hz: int, where: str) -> NDArray[np.int16]:
    """Samples of a mono 16-bit WAV file, int16 (n,), n at least 1.

    Args:
        where: the file's name, for errors.
    Raises:
        DataError: another rate, several channels, another sample size, no samples; broken or cut.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, channels, width, frames = (
                file.getframerate(),
                file.getnchannels(),
                file.getsampwidth(),
                file.getnframes(),
            )
            data = file.readframes(frames)
    except (wave.Error, EOFError) as error:
        said = str(error) or "it ends too early"
        raise DataError(f"the file is no PCM WAV file: {said}", where=where, hint="copy it again") from None
    if (rate, channels, width) != (rate_hz, 1, 2):
        raise DataError(
            f"the file has {rate} Hz, {channels} channel{'s' * (channels != 1)} of {8 * width} bits; "
            f"{rate_hz} Hz, 1 channel of 16 bits is what the features are made from",
            where=where,
            hint=f"convert the folder: sox IN.wav -r {rate_hz} -c 1 -b 16 OUT.wav",
        )
    if not frames or len(data) != 2 * frames:
        raise DataError(
            f"the file holds {len(data) // 2} of {frames} samples", where=where, hint="copy it again, or remove it"
        )
    return np.frombuffer(data, "<i2").astype(np.int16)
