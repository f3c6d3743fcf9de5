"""`mcuprune data speech-commands`: features of an official copy."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.data import load_dataset
from mcuprune.datasets import speech_commands
from mcuprune.datasets.copies import Download
from mcuprune.datasets.mfcc import arm_mfcc
from mcuprune.datasets.speech_commands import ARCHIVE, CLASS_NAMES, split_by_speaker
from tests.served import served
from tests.speech_copy import SPEAKERS, TESTING, VALIDATION, WORDS, samples_of, write_copy

pytestmark = pytest.mark.train

EXAMPLE = Path(__file__).parents[2] / "examples" / "speech-commands"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny copy in the official shape."""
    return write_copy(tmp_path_factory.mktemp("official") / "copy")


def make(copy: Path, output: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[dict[str, Any], Any]:
    """What the verb says, and the arrays that it writes."""
    capsys.readouterr()
    assert run(["data", "speech-commands", str(copy), "-o", str(output), "--noise-clips", "9", "--json", *more]) == 0
    with np.load(output, allow_pickle=False) as archive:
        return json.loads(capsys.readouterr().out), dict(archive)


@pytest.mark.shared
def test_features_are_those_of_the_real_clips(shared: Path) -> None:
    """500 clips of the data set give the published features."""
    with np.load(shared / "data" / "speech_commands_kws01_dev500.npz") as data:
        audio, wanted = data["audio"], data["mfcc_arm"]
    np.testing.assert_allclose(arm_mfcc(audio), wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.shared
def test_keys_are_those_of_the_shared_file(
    copy: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same keys and types, so that what reads one reads the other."""
    _, made = make(copy, tmp_path / "x.npz", capsys)
    with np.load(shared / "data" / "speech_commands_train_mfcc49x10_int8.npz") as known:
        assert sorted(made) == sorted(known.files)
        for key in ("mfcc_q", "label", "split", "word", "speaker", "scale", "offset", "mfcc_of_zero_audio"):
            assert made[key].dtype == known[key].dtype and made[key].shape[1:] == known[key].shape[1:], key
        assert list(made["class_names"]) == list(known["class_names"])
        assert list(made["split_names"])[:3] == list(known["split_names"])
        np.testing.assert_allclose(made["mfcc_of_zero_audio"], known["mfcc_of_zero_audio"], atol=1e-4)


def test_every_clip_is_there(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Noise first, then words by name: label, word, split and speaker of each, and its decoded features."""
    told, made = make(copy, tmp_path / "x.npz", capsys)
    names = [(word, speaker) for word in sorted(WORDS) for speaker in sorted(SPEAKERS)]
    assert told["clips"] == 9 + len(names) and told["speakers"] == 4 and told["notes"] == []
    assert told["splits"]["validation"]["_unknown_"] == 2 and told["splits"]["noise"]["_silence_"] == 9
    assert (made["label"][:9] == 0).all() and (made["split"][:9] == 2).all() and (made["speaker"][:9] == 0).all()
    for i, (word, speaker) in enumerate(names, 9):
        wanted = "validation" if speaker == VALIDATION else "testing" if speaker == TESTING else "training"
        assert made["split_names"][made["split"][i]] == wanted
        assert made["word_names"][made["word"][i]] == word
        assert CLASS_NAMES[made["label"][i]] == (word if word in CLASS_NAMES else "_unknown_")
        assert made["speaker"][i] == 1 + sorted(SPEAKERS).index(speaker)
    clips = np.zeros((len(names), 16_000), np.int16)
    for clip, name in zip(clips, names, strict=True):
        samples = samples_of(*name)[:16_000]  # longer ones are cut, shorter ones end in zeros
        clip[: len(samples)] = samples
    decoded = made["mfcc_q"][9:].astype(np.float32).reshape(-1, 49, 10) * made["scale"] + made["offset"]
    assert (np.abs(decoded - arm_mfcc(clips)) <= 0.51 * made["scale"]).all()


def test_archive_gives_the_same_file(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder, its archive, and a folder that holds the archive: equal bytes; another seed cuts other noise."""
    archive = tmp_path / ARCHIVE.name
    with tarfile.open(archive, "w:gz") as file:
        file.add(copy, ".")
    sources = {"folder": copy, "archive": archive, "holder": tmp_path}
    files = {}
    for name, source in sources.items():
        make(source, tmp_path / f"{name}.npz", capsys)
        files[name] = (tmp_path / f"{name}.npz").read_bytes()
    assert files["folder"] == files["archive"] == files["holder"]
    _, other = make(copy, tmp_path / "other.npz", capsys, "--seed", "2")
    _, first = make(copy, tmp_path / "folder.npz", capsys)
    assert not np.array_equal(first["mfcc_q"][:9], other["mfcc_q"][:9])


def test_download_comes_only_when_asked_for(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--download puts the archive into the folder and reads it; the second time it is there, and nobody is asked."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as file:
        file.add(copy, ".")
    content, folder = stream.getvalue(), tmp_path / "new"
    assert run(["data", "speech-commands", str(folder), "-o", str(tmp_path / "x.npz")]) == 2
    with served({ARCHIVE.name: content}) as address:
        published = Download(f"{address}/{ARCHIVE.name}", len(content), hashlib.sha256(content).hexdigest())
        monkeypatch.setattr(speech_commands, "ARCHIVE", published)
        make(folder, tmp_path / "first.npz", capsys, "--download")
    assert (folder / ARCHIVE.name).read_bytes() == content
    make(folder, tmp_path / "second.npz", capsys, "--download")
    make(copy, tmp_path / "folder.npz", capsys)
    assert len({(tmp_path / f"{name}.npz").read_bytes() for name in ("first", "second", "folder")}) == 1


def test_without_lists_the_hash_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The data set's own rule, and a note that it was used."""
    told, made = make(write_copy(tmp_path / "copy", lists=False), tmp_path / "x.npz", capsys)
    splits = {s: split_by_speaker(f"yes/{s}_nohash_0.wav") for s in SPEAKERS}
    assert told["notes"] == ["no lists: split by the hash of the speaker"]
    assert [made["split_names"][i] for i in made["split"][9:13]] == [splits[s] for s in sorted(SPEAKERS)]


def test_the_example_reads_it_unchanged(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """speech_commands.py finds the file where it finds the shared one."""
    folder = tmp_path / "data"
    folder.mkdir()
    make(copy, folder / "speech_commands_train_mfcc49x10_int8.npz", capsys)
    monkeypatch.setenv("MCUPRUNE_SHARED", str(tmp_path))
    data = load_dataset("speech_commands:load", base=EXAMPLE)
    assert data.class_names == CLASS_NAMES and data.x.shape[1:] == (490,) and data.xv is not None
    assert set(data.labels()) == set(range(12)) and data.yv is not None and set(data.yv) == set(range(1, 12))
    test = load_dataset("speech_commands:test", base=EXAMPLE)
    assert test.x.shape == (12, 490) and sorted(test.labels()) == [1, 1, *range(2, 12)]


def test_what_is_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing keyword, one list of two, no background, another rate: one error each, nothing written."""
    copy = write_copy(tmp_path / "copy")
    output = tmp_path / "x.npz"

    def said(*more: str) -> str:
        assert run(["data", "speech-commands", str(copy), "-o", str(output), *more]) == 2
        assert not output.exists()
        return capsys.readouterr().err

    (copy / "testing_list.txt").rename(copy / "other.txt")
    assert "testing_list.txt is not" in said()
    (copy / "other.txt").rename(copy / "testing_list.txt")
    (copy / "_background_noise_").rename(copy / "_noise_")
    assert "--noise-clips 0" in said()
    (copy / "go").rename(copy / "stay")
    assert "no clips of go" in said("--noise-clips", "0")
    (copy / "stay" / "bad.wav").write_bytes(b"RIFF")
    assert "stay/bad.wav" in said()


def test_a_copy_without_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--noise-clips 0 needs no background, and clips that only the lists know are a note."""
    copy = write_copy(tmp_path / "copy")
    (copy / "_background_noise_").rename(tmp_path / "noise")
    (copy / "bed" / f"{TESTING}_nohash_0.wav").unlink()
    told, made = make(copy, tmp_path / "x.npz", capsys, "--noise-clips", "0")
    assert told["notes"] == ["1 of 24 clips that the lists name are not there"]
    assert told["clips"] == 47 and made["label"].min() == 1
