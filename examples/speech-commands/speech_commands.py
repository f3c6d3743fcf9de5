"""Features of Speech Commands v0.02 for DS-CNN: `--data speech_commands:load` beside this file.

Utterances are split as their file says, by speaker; noise by a seed, 900 clips to train on as silence and 100 to
validate. The file holds over three times as many unknown words as clips of a keyword; they are thinned, by the seed, to
the mean share of the other classes, as in the test set. Source and licence (CC BY 4.0): SOURCES.md beside this file.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

FILE = "speech_commands_train_mfcc49x10_int8.npz"
SEED = 1
NOISE_TO_TRAIN = 900  # of 1000 clips; the others validate

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
class_names: list[str] = []


def load() -> Arrays:
    """x float32 (n, 490), y int64 (n,), and the validation part in the same form."""
    with np.load(find_data()) as archive:
        codes, scale, offset = archive["mfcc_q"], archive["scale"], archive["offset"]
        labels, split = archive["label"].astype(np.int64), archive["split"]
        names, splits = list(archive["class_names"]), list(archive["split_names"])
    class_names[:] = [str(name) for name in names]
    rng = np.random.default_rng(SEED)
    noise = rng.permutation(np.flatnonzero(split == splits.index("noise")))
    parts = (
        (split == splits.index("training"), noise[:NOISE_TO_TRAIN]),
        (split == splits.index("validation"), noise[NOISE_TO_TRAIN:]),
    )
    chosen = [thin(np.append(np.flatnonzero(of), more), labels, names.index("_unknown_"), rng) for of, more in parts]
    x = [(codes[rows].astype(np.float32).reshape(-1, 49, 10) * scale + offset).reshape(-1, 490) for rows in chosen]
    return x[0], labels[chosen[0]], x[1], labels[chosen[1]]


def validation() -> tuple[np.ndarray, np.ndarray]:
    """All validation utterances, unknown words not thinned, and the noise that load() holds out."""
    with np.load(find_data()) as archive:
        codes, scale, offset = archive["mfcc_q"], archive["scale"], archive["offset"]
        labels, split = archive["label"].astype(np.int64), archive["split"]
        splits = list(archive["split_names"])
    noise = np.random.default_rng(SEED).permutation(np.flatnonzero(split == splits.index("noise")))
    rows = np.sort(np.append(np.flatnonzero(split == splits.index("validation")), noise[NOISE_TO_TRAIN:]))
    return (codes[rows].astype(np.float32).reshape(-1, 49, 10) * scale + offset).reshape(-1, 490), labels[rows]


def test() -> tuple[np.ndarray, np.ndarray]:
    """All test utterances, of a file that `mcuprune data speech-commands` made; the shared file has none."""
    with np.load(find_data()) as archive:
        splits = list(archive["split_names"])
        if "testing" not in splits:
            raise ValueError("the file has no test utterances; `mcuprune data speech-commands` makes one that has")
        rows = np.flatnonzero(archive["split"] == splits.index("testing"))
        codes, scale, offset = archive["mfcc_q"][rows], archive["scale"], archive["offset"]
        labels = archive["label"][rows].astype(np.int64)
    return (codes.astype(np.float32).reshape(-1, 49, 10) * scale + offset).reshape(-1, 490), labels


def thin(rows: np.ndarray, labels: np.ndarray, unknown: int, rng: np.random.Generator) -> np.ndarray:
    """Rows in their order with as many unknown words as the mean of the other classes that are there."""
    others = rows[labels[rows] != unknown]
    words = rng.permutation(rows[labels[rows] == unknown])
    keep = round(len(others) / len(np.unique(labels[others])))
    return np.sort(np.append(others, words[:keep]))


def find_data() -> Path:
    """The file: in MCUPRUNE_SHARED, else in `../shared` of the current folder or of one above this file."""
    here = Path(__file__).resolve()
    folders = [Path(os.environ["MCUPRUNE_SHARED"])] if "MCUPRUNE_SHARED" in os.environ else []
    folders += [Path("../shared"), *(parent / "shared" for parent in here.parents)]
    for folder in folders:
        if (folder / "data" / FILE).is_file():
            return folder / "data" / FILE
    raise FileNotFoundError(f"{FILE} is in none of the folders data/ of MCUPRUNE_SHARED and ../shared")
