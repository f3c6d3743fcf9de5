"""A tiny copy of Speech Commands in its official shape, of noise instead of speech."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "bed", "cat")
SPEAKERS = ("0a7c2a8d", "1b2c3d4e", "00f0204f", "ffffffff")
LENGTHS = {"0a7c2a8d": 16_000, "1b2c3d4e": 9_000, "00f0204f": 16_000, "ffffffff": 17_000}  # samples
VALIDATION, TESTING = "1b2c3d4e", "00f0204f"


def wav_bytes(samples: np.ndarray, rate: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    """A WAV file of these 16-bit samples; of their low bytes where width is 1."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(samples.astype("<i2" if width == 2 else np.uint8).tobytes())
    return stream.getvalue()


def samples_of(word: str, speaker: str) -> np.ndarray:
    """The samples of the clip that write_copy() writes for a word and a speaker."""
    rng = np.random.default_rng([WORDS.index(word), SPEAKERS.index(speaker)])
    return (rng.normal(size=LENGTHS[speaker]) * 3000).astype(np.int16)


def write_copy(folder: Path, lists: bool = True) -> Path:
    """12 words by 4 speakers, two background recordings, the lists, and files that are no data."""
    names = [f"{word}/{speaker}_nohash_0.wav" for word in WORDS for speaker in SPEAKERS]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(wav_bytes(samples_of(name.split("/")[0], name.split("/")[1][:8])))
    noise = folder / "_background_noise_"
    noise.mkdir()
    rng = np.random.default_rng(7)
    for name, seconds in (("pink_noise.wav", 3), ("running_tap.wav", 2)):
        (noise / name).write_bytes(wav_bytes((rng.normal(size=16_000 * seconds) * 900).astype(np.int16)))
    (noise / "README.md").write_text("no data")
    (folder / "LICENSE").write_text("no data")
    if lists:
        for file, speaker in (("validation_list.txt", VALIDATION), ("testing_list.txt", TESTING)):
            (folder / file).write_text("".join(f"{name}\n" for name in names if speaker in name))
    return folder
