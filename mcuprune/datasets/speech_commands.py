"""Speech Commands v0.02 as features: ten keywords, other words as unknown, background noise as silence.

The data set: P. Warden, "Speech Commands: A Dataset for Limited-Vocabulary Speech Recognition" (2018), CC BY 4.0.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mcuprune.datasets.copies import Download, Progress, read_copy
from mcuprune.datasets.mfcc import CLIP, COEFFICIENTS, FRAMES, RATE_HZ, arm_mfcc
from mcuprune.datasets.wav import read_wav
from mcuprune.errors import DataError, UsageError

Array = NDArray[Any]
Samples = NDArray[np.int16]

ARCHIVE = Download(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    2_428_923_189,
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
)
KEYWORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
CLASS_NAMES = ("_silence_", "_unknown_", *KEYWORDS)  # Arm's order
SPLIT_NAMES = ("training", "validation", "noise", "testing")
NOISE = "_background_noise_"
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "testing"}
_BATCH = 256  # clips whose features are computed at once
_MOST = 2**27 - 1  # of the data set's hash


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The arrays of the .npz by their keys, what they count, and notes for display.

    mfcc_q: int8 (n, 490), decoded by mfcc_q.reshape(-1, 49, 10) * scale + offset to within scale / 2;
    scale, offset: float32 (10,), by coefficient; label, split, word: indices into class_names, split_names,
    word_names; speaker: a number for each speaker from 1, 0 for noise; mfcc_of_zero_audio: float32 (49, 10).
    """

    arrays: dict[str, Array]
    notes: tuple[str, ...]

    def counts(self) -> dict[str, dict[str, int]]:
        """Clips by split and class."""
        split, label = self.arrays["split"], self.arrays["label"]
        return {
            name: {c: int(((split == i) & (label == j)).sum()) for j, c in enumerate(CLASS_NAMES)}
            for i, name in enumerate(SPLIT_NAMES)
        }

    def npz(self) -> bytes:
        """The file: equal arrays give equal bytes."""
        stream = io.BytesIO()
        np.savez_compressed(stream, allow_pickle=False, **self.arrays)
        return stream.getvalue()


def prepare(source: Path, progress: Progress, *, noise_clips: int = 1000, seed: int = 1) -> Prepared:
    """Features of an official copy: noise first, then the words in the order of their names.

    Args:
        source: the unpacked folder, the .tar.gz, or a folder that holds nothing but that.
        noise_clips: seconds cut from the background recordings, at places that the seed draws.
    Raises:
        DataError: not such a copy, a file of another rate, broken.
        ToolMissingError: TensorFlow is not installed.
    """
    if noise_clips < 0:
        raise UsageError(f"{noise_clips} clips of noise are too few", hint="0 leaves silence out, 1000 is usual")
    copy = _Copy(_archive_in(source))
    copy.read(progress)
    copy.check(noise_clips)
    order = np.argsort(np.array(copy.names))
    noise = _cut_noise(copy.noise, noise_clips, seed)
    codes, scale, offset = quantize_features(np.concatenate([arm_mfcc(noise), *copy.features]))
    split_of, notes = _splits(copy.names, copy.lists)
    names = [copy.names[i] for i in order]
    arrays = {
        "mfcc_q": codes[np.concatenate([np.arange(noise_clips), noise_clips + order])],
        "scale": scale,
        "offset": offset,
        **_index_arrays(names, [split_of[name] for name in names], noise_clips),
        "class_names": np.array(CLASS_NAMES),
        "split_names": np.array(SPLIT_NAMES),
        "mfcc_of_zero_audio": arm_mfcc(np.zeros((1, CLIP), np.int16))[0],
    }
    return Prepared(arrays, notes)


def quantize_features(features: NDArray[np.float32]) -> tuple[Array, Array, Array]:
    """Codes int8 (n, 490), scale and offset float32 (10,): each coefficient's range fills the 256 codes."""
    low, high = features.min(axis=(0, 1)).astype(np.float64), features.max(axis=(0, 1)).astype(np.float64)
    scale = np.maximum((high - low) / 255, np.finfo(np.float32).tiny).astype(np.float32)
    offset = (low + 128 * scale.astype(np.float64)).astype(np.float32)
    codes = np.empty((len(features), FRAMES * COEFFICIENTS), np.int8)
    for start in range(0, len(features), 4096):  # in float64, but not all at once
        part = (features[start : start + 4096].astype(np.float64) - offset) / scale
        codes[start : start + 4096] = np.clip(np.rint(part), -128, 127).reshape(len(part), -1)
    return codes, scale, offset


def split_by_speaker(name: str) -> str:
    """training, validation or testing of WORD/SPEAKER_nohash_N.wav, by the data set's own rule.

    The SHA-1 of the speaker decides, so that all clips of a speaker fall together: 10% validate, 10% test.
    Source: which_set() in the README of Speech Commands.
    """
    digest = int(hashlib.sha1(_speaker(name).encode()).hexdigest(), 16)
    percent = digest % (_MOST + 1) * (100 / _MOST)
    return "validation" if percent < 10 else "testing" if percent < 20 else "training"


class _Copy:
    """What was read: features of the words' clips in batches, samples of the background, the lists."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.names: list[str] = []
        self.features: list[NDArray[np.float32]] = []
        self.noise: dict[str, Samples] = {}
        self.lists: dict[str, list[str]] = {}
        self._waiting: list[Samples] = []

    def read(self, progress: Progress) -> None:
        """Read everything, once."""
        for name, content in read_copy(self.source, _wanted, progress):
            if name in _LISTS:
                self.lists[name] = content.decode("utf-8", "replace").split()
                continue
            samples = read_wav(content, RATE_HZ, f"{self.source}, {name}")
            if name.startswith(f"{NOISE}/"):
                self.noise[name] = samples
                continue
            self.names.append(name)
            self._waiting.append(np.pad(samples[:CLIP], (0, max(0, CLIP - len(samples)))))
            if len(self._waiting) == _BATCH:
                self._compute()
        self._compute()

    def _compute(self) -> None:
        if self._waiting:
            self.features.append(arm_mfcc(np.stack(self._waiting)))
            self._waiting.clear()

    def check(self, noise_clips: int) -> None:
        """Raises a DataError where this is no copy of the data set."""
        where = str(self.source)
        found = {_word(name) for name in self.names}
        missing = [word for word in KEYWORDS if word not in found]
        if not found:
            hint = "name the folder that holds yes/, no/, ... with .wav files, or speech_commands_v0.02.tar.gz"
            raise DataError("no .wav file lies in a folder of a word", where=where, hint=hint)
        if missing:
            hint = "all ten keywords belong to Speech Commands: is the copy whole?"
            raise DataError(f"no clips of {', '.join(missing)}", where=where, hint=hint)
        if len(self.lists) == 1:
            absent = next(name for name in _LISTS if name not in self.lists)
            hint = "copy it, too; without either list the data set's hash of the speaker splits"
            raise DataError(f"{next(iter(self.lists))} is there, {absent} is not", where=where, hint=hint)
        if noise_clips and not any(len(samples) > CLIP for samples in self.noise.values()):
            hint = "copy it, too; --noise-clips 0 leaves silence out"
            raise DataError(f"no recording longer than a second lies in {NOISE}", where=where, hint=hint)


def _archive_in(source: Path) -> Path:
    """The source, or the archive in a folder that holds no words."""
    archive = source / ARCHIVE.name
    return archive if archive.is_file() and not any((source / word).is_dir() for word in KEYWORDS) else source


def _wanted(name: str) -> bool:
    """A list, a clip of a word, or a background recording; a word's folder begins with a letter."""
    return name in _LISTS or re.fullmatch(rf"(?:[A-Za-z][^/]*|{NOISE})/[^/.][^/]*\.wav", name) is not None


def _word(name: str) -> str:
    return name.partition("/")[0]


def _speaker(name: str) -> str:
    return re.sub(r"_nohash_.*$", "", name.rpartition("/")[2])


def _cut_noise(noise: dict[str, Samples], clips: int, seed: int) -> Samples:
    """int16 (clips, 16000): every second of every recording is as likely as any other one."""
    files = [noise[name] for name in sorted(noise) if len(noise[name]) > CLIP]
    if not clips:
        return np.zeros((0, CLIP), np.int16)
    rng = np.random.default_rng(seed)
    starts = np.array([len(samples) - CLIP for samples in files])
    chosen = rng.choice(len(files), clips, p=starts / starts.sum())
    return np.stack([files[i][start : start + CLIP] for i in chosen for start in [rng.integers(starts[i] + 1)]])


def _splits(names: Sequence[str], lists: dict[str, list[str]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The split of each clip, and notes."""
    if not lists:
        return {name: split_by_speaker(name) for name in names}, ("no lists: split by the hash of the speaker",)
    listed = {name: _LISTS[file] for file, of in lists.items() for name in of}
    absent = len(listed.keys() - set(names))
    notes = (f"{absent} of {len(listed)} clips that the lists name are not there",) if absent else ()
    return {name: listed.get(name, "training") for name in names}, notes


def _index_arrays(names: Sequence[str], splits: Sequence[str], noise_clips: int) -> dict[str, Array]:
    """label, split, word, word_names and speaker of noise clips followed by these."""
    words = [NOISE, *sorted({_word(name) for name in names})]
    speakers = {speaker: i + 1 for i, speaker in enumerate(sorted({_speaker(name) for name in names}))}
    label = [CLASS_NAMES.index(w) if (w := _word(name)) in KEYWORDS else 1 for name in names]

    def array(noise: int, values: Sequence[int], kind: type[Any]) -> Array:
        return np.array([noise] * noise_clips + list(values), np.result_type(kind, np.min_scalar_type(max(values))))

    return {
        "label": array(0, label, np.uint8),
        "split": array(SPLIT_NAMES.index("noise"), [SPLIT_NAMES.index(split) for split in splits], np.uint8),
        "word": array(0, [words.index(_word(name)) for name in names], np.uint8),
        "word_names": np.array(words),
        "speaker": array(0, [speakers[_speaker(name)] for name in names], np.uint16),
    }
