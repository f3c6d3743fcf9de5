"""Ten spoken keywords, other words and noise, made by espeak-ng: data for training and for the check on a board.

    mcuprune prune dense.keras --data words:load ...     # (x, y, x_val, y_val)
    mcuprune check out --data words:test                 # (x, y): 1000 clips of voices that training never heard

A clip is one second at 16 kHz: a word at a random place, loudness, pitch, speed and accent over coloured noise. Voices
(espeak-ng's variants) are split by a hash of their name, so that no voice is in two parts. Features are those of Arm's
keyword models: 49 frames of 10 MFCCs, float32. Everything follows from SEED; the set is made once and kept in
MCUPRUNE_CACHE (default: the platform's cache folder), under a name that changes with this file and with espeak-ng.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcuprune.errors import DataError
from mcuprune.files import write_file_atomic
from mcuprune.tools import find_tool, run_tool

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
class_names = ("_silence_", "_unknown_", *KEYWORDS)  # Arm's order
# fmt: off
OTHER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "bed", "bird", "cat", "dog",
    "happy", "house", "marvin", "sheila", "tree", "wow", "backward", "forward", "follow", "learn", "visual",
)
# fmt: on
# British as espeak-ng's "en": the name "en-gb" takes no variants (en-gb+f3 is en-gb, byte for byte).
ACCENTS = ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
COUNTS = {"train": 5000, "validation": 500, "test": 1000}
SEED = 1

RATE_HZ = 16_000
CLIP = RATE_HZ  # samples: one second
FRAMES, COEFFICIENTS = 49, 10
WORKERS = 2  # processes of espeak-ng at a time
PITCH = (25, 75)  # espeak-ng's 0..99
SPEED_WPM = (120, 200)
PEAK_DB = (-15.0, -1.0)  # of a word, against full scale
SNR_DB = (10.0, 40.0)
SILENCE_DB = (-65.0, -20.0)  # rms of noise alone, against full scale
SHIFT = RATE_HZ // 10  # a word lies at most so many samples off the middle
_MIN_VOICES = 5  # in each part; fewer are an espeak-ng without its variants
_RELATIVES = {"anikarobot": "anika", "anxiousandy": "andy", "caleb": "klatt"}


def load() -> tuple[Floats, Labels, Floats, Labels]:
    """(x, y, x_val, y_val): x float32 (n, 49, 10, 1), y indices into class_names."""
    data = _cached()
    return data["x_train"], data["y_train"], data["x_validation"], data["y_validation"]


def test() -> tuple[Floats, Labels]:
    """(x, y): 1000 clips of held-out voices; the classes take turns, so that any first part of them is balanced."""
    data = _cached()
    return data["x_test"], data["y_test"]


# Voices


def voice_family(voice: str) -> str:
    """The name that a voice and its variations share: robosoft3 is robosoft; f1-f5 and m1-m8 are thirteen people."""
    name = voice.lower()
    if re.fullmatch(r"[fm]\d", name):
        return name
    name = name.rstrip("0123456789")
    return _RELATIVES.get(name, name)


def part_of(voice: str) -> str:
    """train, validation or test, by a hash of the family: a voice that a later espeak-ng adds moves no other one."""
    share = hashlib.sha256(f"spoken-words/{voice_family(voice)}".encode()).digest()[0] / 256
    return "test" if share < 0.2 else "validation" if share < 0.3 else "train"


def split_voices(voices: Sequence[str]) -> dict[str, list[str]]:
    """Voices by part, sorted.

    Raises:
        DataError: a part has too few.
    """
    parts = {part: sorted(v for v in voices if part_of(v) == part) for part in COUNTS}
    for part, found in parts.items():
        if len(found) < _MIN_VOICES:
            raise DataError(
                f"espeak-ng has {len(voices)} voice variants, {len(found)} of them for the {part} part",
                where="espeak-ng --voices=variant",
                hint="sudo apt-get install espeak-ng-data",
            )
    return parts


def installed_voices(espeak: Path) -> list[str]:
    """Names of espeak-ng's voice variants, as files under its voices/!v; the whispers, all of one family, left out."""
    listed = run_tool([espeak, "--voices=variant"]).stdout
    found = set(re.findall(r"!v/(.+?) *(?:\(.*)?$", listed, re.MULTILINE))
    return sorted(voice for voice in found if not voice.startswith("whisper"))


# Audio


def speak(espeak: Path, word: str, voice: str, rng: np.random.Generator) -> Floats:
    """One word by one voice with a random accent, pitch and speed, at 16 kHz, without the silence around it.

    Raises:
        DataError: espeak-ng gave no audio.
    """
    accent = ACCENTS[rng.integers(len(ACCENTS))]
    pitch, speed = rng.integers(PITCH[0], PITCH[1] + 1), rng.integers(SPEED_WPM[0], SPEED_WPM[1] + 1)
    command = [str(espeak), "-v", f"{accent}+{voice}", "-p", str(pitch), "-s", str(speed), "--stdout", word]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    wav = done.stdout
    if done.returncode or wav[:4] != b"RIFF" or wav[36:40] != b"data":  # the sizes of a streamed header mean nothing
        said = done.stderr.decode(errors="replace").strip() or f"{len(wav)} bytes that are no WAV"
        raise DataError(f"espeak-ng gave no audio: {said}", where=" ".join(command))
    samples = np.frombuffer(wav[44 : len(wav) - len(wav) % 2], "<i2").astype(np.float32) / 32768
    return trim(resample(samples, int.from_bytes(wav[24:28], "little")))


def resample(samples: Floats, rate_hz: int) -> Floats:
    """Samples at 16 kHz, by their spectrum."""
    if rate_hz == RATE_HZ:
        return samples
    unit = rate_hz // np.gcd(rate_hz, RATE_HZ)
    padded = np.pad(samples, (0, -len(samples) % unit))
    wanted = len(padded) * RATE_HZ // rate_hz
    spectrum = np.fft.rfft(padded)[: wanted // 2 + 1]
    return (np.fft.irfft(spectrum, wanted) * (wanted / len(padded))).astype(np.float32)


def trim(samples: Floats, floor: float = 0.02) -> Floats:
    """Samples from the first to the last that reaches `floor` of the peak, at most one second."""
    loud = np.flatnonzero(np.abs(samples) >= floor * np.abs(samples).max(initial=0.0))
    return samples[loud[0] : loud[-1] + 1][:CLIP] if len(loud) else samples[:CLIP]


def place(samples: Floats, rng: np.random.Generator) -> Floats:
    """A word in a second of silence, off its middle by at most SHIFT samples."""
    room = CLIP - len(samples)
    start = int(np.clip(room // 2 + rng.integers(-SHIFT, SHIFT + 1), 0, room))
    return np.pad(samples, (start, room - start))


def noise(rng: np.random.Generator) -> Floats:
    """A second of noise of rms 1 whose power falls with the frequency's 0th (white) to 2nd (brown) power."""
    spectrum = np.fft.rfft(rng.standard_normal(CLIP))
    frequency = np.maximum(np.arange(len(spectrum)), 20.0)  # Hz
    coloured = np.fft.irfft(spectrum * frequency ** (-rng.uniform(0.0, 2.0) / 2), CLIP)
    return (coloured / np.sqrt(np.mean(coloured**2))).astype(np.float32)


def mix(word: Floats | None, rng: np.random.Generator) -> Floats:
    """A clip: a placed word at a random loudness over noise, or noise alone; in steps of 16 bits, as recorded."""
    hiss = noise(rng)
    if word is None:
        clip = hiss * _gain(rng.uniform(*SILENCE_DB))
    else:
        clip = place(word * (_gain(rng.uniform(*PEAK_DB)) / max(float(np.abs(word).max(initial=0.0)), 1e-9)), rng)
        rms = np.sqrt(np.sum(clip**2) / max(len(word), 1))
        clip = clip + hiss * (rms * _gain(-rng.uniform(*SNR_DB)))
    return (np.clip(np.round(clip * 32768), -32768, 32767) / 32768).astype(np.float32)


def _gain(decibel: float) -> float:
    return float(10.0 ** (decibel / 20))


def make_clip(espeak: Path, voices: Sequence[str], part: str, index: int) -> tuple[Floats, int]:
    """Clip `index` of a part and its label; no clip depends on another one."""
    rng = np.random.default_rng([SEED, list(COUNTS).index(part), index])
    label = index % len(class_names)
    name = class_names[label]
    voice = voices[rng.integers(len(voices))]
    if name == "_silence_":
        return mix(None, rng), label
    word = OTHER_WORDS[rng.integers(len(OTHER_WORDS))] if name == "_unknown_" else name
    return mix(speak(espeak, word, voice, rng), rng), label


# Features


def features(clips: Floats) -> Floats:
    """Arm's MFCCs: windows of 40 ms every 20 ms, 40 mel bands of 20-4000 Hz, 10 coefficients.

    Args:
        clips: float32 (n, 16000) in -1..1.
    Returns:
        float32 (n, 49, 10, 1).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    made = []
    for start in range(0, len(clips), 500):  # clips travel as channels
        audio = tf.constant(clips[start : start + 500].T)
        spectrogram = tf.raw_ops.AudioSpectrogram(input=audio, window_size=640, stride=320, magnitude_squared=True)
        mfcc = tf.raw_ops.Mfcc(spectrogram=spectrogram, sample_rate=RATE_HZ, dct_coefficient_count=COEFFICIENTS)
        made.append(mfcc.numpy())
    return np.concatenate(made)[..., None]


# The set


def _cached() -> dict[str, npt.NDArray[Any]]:
    """All parts, from the cache or made now."""
    espeak = find_tool("espeak-ng", "make the spoken words")
    file = cache_file(espeak)
    if file.is_file():
        try:
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            print(f"spoken words: {file} is damaged; making it again", file=sys.stderr)
    data = make(espeak)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **data)
    write_file_atomic(file, stream.getvalue())
    print(f"spoken words: kept in {file}", file=sys.stderr)
    return data


def cache_file(espeak: Path) -> Path:
    """Where the set is kept: another file after a change of this module, of espeak-ng or of its voices."""
    import platformdirs

    parts = [Path(__file__).read_text(), run_tool([espeak, "--version"]).stdout, *installed_voices(espeak)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    named = os.environ.get("MCUPRUNE_CACHE")
    folder = Path(named) if named else platformdirs.user_cache_path("mcuprune")
    return folder / f"spoken-words-{digest[:16]}.npz"


def make(espeak: Path, counts: dict[str, int] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Speak and compute everything: x_PART float32 (n, 49, 10, 1) and y_PART int64 (n,)."""
    counts = counts or COUNTS
    voices = split_voices(installed_voices(espeak))
    tasks = [(part, index) for part, count in counts.items() for index in range(count)]
    print(f"spoken words: {len(tasks)} clips by {sum(map(len, voices.values()))} voices", file=sys.stderr)
    clips = np.empty((len(tasks), CLIP), np.float32)
    labels = np.empty(len(tasks), np.int64)
    pool = ThreadPoolExecutor(WORKERS)
    try:
        made = pool.map(lambda task: make_clip(espeak, voices[task[0]], *task), tasks)
        for i, (clip, label) in enumerate(made):
            clips[i], labels[i] = clip, label
            if (i + 1) % 1000 == 0:
                print(f"spoken words: {i + 1} of {len(tasks)}", file=sys.stderr)
    finally:
        pool.shutdown(cancel_futures=True)
    x = features(clips)
    ends = np.cumsum(list(counts.values()))[:-1]
    xs, ys = np.split(x, ends), np.split(labels, ends)
    return {f"{name}_{part}": a[i] for name, a in (("x", xs), ("y", ys)) for i, part in enumerate(counts)}
