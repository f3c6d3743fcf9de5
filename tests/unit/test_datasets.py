"""Copies of data sets: WAV files, folders and archives, downloads, splits. Without TensorFlow."""

from __future__ import annotations

import hashlib
import io
import tarfile
import wave
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.datasets.copies import Download, download, read_copy
from mcuprune.datasets.speech_commands import quantize_features, split_by_speaker
from mcuprune.datasets.wav import read_wav
from mcuprune.errors import DataError
from tests.served import served
from tests.speech_copy import wav_bytes

CONTENT = bytes(range(256)) * 20_000


def silent(label: str, total: int) -> nullcontext:
    """No bar."""
    return nullcontext(lambda done: None)


def test_wav_gives_its_samples(rng: np.random.Generator) -> None:
    """What was written is read, sign and order."""
    samples = rng.integers(-(2**15), 2**15, 777).astype(np.int16)
    assert np.array_equal(read_wav(wav_bytes(samples), 16_000, "a.wav"), samples)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wav_bytes(np.zeros(9, np.int16), rate=8000), "8000 Hz, 1 channel of 16 bits"),
        (wav_bytes(np.zeros(8, np.int16), channels=2), "2 channels of 16 bits"),
        (wav_bytes(np.zeros(8, np.int16), width=1), "1 channel of 8 bits"),
        (wav_bytes(np.zeros(0, np.int16)), "holds 0 of 0 samples"),
        (wav_bytes(np.zeros(99, np.int16))[:-50], "holds 74 of 99 samples"),
        (wav_bytes(np.zeros(99, np.int16))[:20], "no PCM WAV"),
        (b"", "it ends too early"),
        (b"ID3 is no WAV file at all", "no PCM WAV"),
    ],
)
def test_other_wav_files_are_refused(content: bytes, said: str) -> None:
    """The rate, the channels or the bits that were found, and which file it was."""
    with pytest.raises(DataError, match=said) as caught:
        read_wav(content, 16_000, "yes/a.wav")
    assert caught.value.where == "yes/a.wav" and caught.value.hint


def test_folder_and_archive_are_one_copy(tmp_path: Path) -> None:
    """Equal names and bytes; what is not wanted is not read."""
    folder, archive = tmp_path / "copy", tmp_path / "copy.tar.gz"
    for name in ("yes/b.wav", "yes/a.wav", "no/c.wav", "LICENSE"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 1000)
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder, ".")
    found = dict(read_copy(folder, lambda name: name.endswith(".wav"), silent))
    assert list(found) == ["no/c.wav", "yes/a.wav", "yes/b.wav"] and found["yes/b.wav"] == b"yes/b.wav" * 1000
    assert dict(read_copy(archive, lambda name: name.endswith(".wav"), silent)) == found
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(DataError, match="the archive cannot be read"):
        list(read_copy(archive, lambda name: True, silent))
    with pytest.raises(DataError, match="no such folder or archive"):
        list(read_copy(tmp_path / "none", lambda name: True, silent))


def test_download_is_whole_or_not_there(tmp_path: Path) -> None:
    """The right checksum leaves the file; a wrong one, a missing page and a dead host leave nothing."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    told: list[int] = []
    with served({"good.tar.gz": CONTENT}) as address:
        good = Download(f"{address}/good.tar.gz", len(CONTENT), digest)
        download(good, tmp_path / "new" / good.name, lambda label, total: nullcontext(told.append))
        assert (tmp_path / "new" / "good.tar.gz").read_bytes() == CONTENT and told[-1] == len(CONTENT) // 1_000_000
        bad = Download(good.url, len(CONTENT), "0" * 64)
        absent = Download(f"{address}/absent.tar.gz", 1, digest)
        dead = Download("http://127.0.0.1:9/x.tar.gz", 1, digest)
        for what, said in ((bad, "were published"), (absent, "404"), (dead, "the download failed")):
            with pytest.raises(DataError, match=said) as caught:
                download(what, tmp_path / "bad" / "x.tar.gz", silent)
            assert what.url in str(caught.value) and not list((tmp_path / "bad").iterdir())


def test_split_follows_the_speaker() -> None:
    """All clips of a speaker fall together, in shares of about 80, 10 and 10 percent."""
    assert split_by_speaker("yes/0a7c2a8d_nohash_0.wav") == split_by_speaker("no/0a7c2a8d_nohash_3.wav")
    splits = [split_by_speaker(f"yes/{i:08x}_nohash_0.wav") for i in range(4000)]
    assert [round(splits.count(name) / 400) for name in ("training", "validation", "testing")] == [8, 1, 1]


@pytest.mark.shared
def test_split_is_that_of_the_official_lists(shared: Path) -> None:
    """The 500 real clips are the data set's test clips: the hash puts every speaker among the test ones."""
    with np.load(shared / "data" / "speech_commands_kws01_dev500.npz") as data:
        clips = [str(clip).removesuffix(".wav") for clip in data["clip"] if "nohash" in str(clip)]
    names = [clip.replace("_unknown_/", "").replace("_", "/", 1) if "_unknown_" in clip else clip for clip in clips]
    assert len(names) > 400 and {split_by_speaker(name) for name in names} == {"testing"}


def test_codes_are_half_a_step_from_the_features(rng: np.random.Generator) -> None:
    """Each coefficient has a step of its own, and one that never changes is kept, too."""
    features = (rng.normal(size=(40, 49, 10)) * 10.0 ** np.arange(-4, 6) - 3).astype(np.float32)
    features[:, :, 7] = -2.5
    codes, scale, offset = quantize_features(features)
    decoded = codes.astype(np.float32).reshape(-1, 49, 10) * scale + offset
    assert codes.dtype == np.int8 and codes.shape == (40, 490)
    assert (np.abs(decoded - features) <= 0.501 * scale + 1e-6 * np.abs(features)).all()
    assert codes.min() == -128 and codes.max() == 127


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none", "-o", "x.npz"], "no such folder or archive"),
        (["empty", "-o", "x.npz"], "no .wav file lies in a folder of a word"),
        (["empty", "-o", "x.npy"], "an .npz file, not x.npy"),
    ],
)
def test_verb_without_data(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One error, before TensorFlow is loaded; nothing is written."""
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert run(["data", "speech-commands", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and "try:" in error and not list(Path().glob("x*"))


def test_wav_helper_writes_wav() -> None:
    """The tests' own files are what Python's reader takes them for."""
    with wave.open(io.BytesIO(wav_bytes(np.zeros(8, np.int16), rate=8000, channels=2))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 2, 4)
