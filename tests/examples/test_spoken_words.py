"""The example that a clean clone carries: its data, its dense model, and its small model on both boards."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.data import load_dataset
from mcuprune.errors import DataError, McupruneError

EXAMPLE = Path(__file__).parents[2] / "examples" / "spoken-words"
SMALL, CLIPS, DENSE = EXAMPLE / "small_int8.tflite", EXAMPLE / "small_test.npz", EXAMPLE / "dense.keras"
BOARDS = ["mps2-an386", "mps2-an385"]
SAMPLES = 100


@pytest.fixture(scope="module")
def words() -> ModuleType:
    """The example's data module."""
    spec = importlib.util.spec_from_file_location("spoken_words", EXAMPLE / "words.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def espeak() -> Path:
    """espeak-ng, which `make test` installs."""
    found = shutil.which("espeak-ng")
    if found is None:
        pytest.skip("espeak-ng is not installed (make tools)")
    return Path(found)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test flashes or keeps stays in the test's folder."""
    monkeypatch.setenv("MCUPRUNE_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("MCUPRUNE_CACHE", str(tmp_path / "cache"))


def _json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    """What a verb prints with --json."""
    got = run([*map(str, arguments), "--json"])
    captured = capsys.readouterr()
    assert got == 0, captured.err
    return json.loads(captured.out)


# The files that the repository carries


def test_files_are_small() -> None:
    """The repository stays light: limits in bytes."""
    assert DENSE.stat().st_size < 1_500_000
    assert SMALL.stat().st_size < 40_000
    assert CLIPS.stat().st_size < 300_000


def test_clips(words: ModuleType) -> None:
    """100 clips of all twelve classes, finite, under the names that words.py gives."""
    data = load_dataset(str(CLIPS))
    assert data.x.shape == (SAMPLES, 49, 10, 1) and data.x.dtype == np.float32
    assert np.isfinite(data.x).all()
    assert data.class_names == words.class_names
    assert np.array_equal(data.labels(), np.arange(SAMPLES) % 12)


def test_dense_archive_names_no_date_and_no_optimizer() -> None:
    """The archive is a plain, deflated .keras file that equal weights give again byte for byte."""
    with zipfile.ZipFile(DENSE) as archive:
        entries = archive.infolist()
        assert [e.filename for e in entries] == ["config.json", "metadata.json", "model.weights.h5"]
        assert all(e.date_time == (1980, 1, 1, 0, 0, 0) and e.compress_type == zipfile.ZIP_DEFLATED for e in entries)
        assert "date_saved" not in json.loads(archive.read("metadata.json"))
        assert not json.loads(archive.read("config.json")).get("compile_config")


@pytest.mark.train
def test_dense_model_loads_and_hears() -> None:
    """dense.keras is DS-CNN-L under the names that recipes use, and knows the clips."""
    keras = pytest.importorskip("keras")
    model = keras.saving.load_model(DENSE)
    names = [layer.name for layer in model.layers]
    wanted = ["conv_1", *(f"ds_{i}_{kind}" for i in range(1, 6) for kind in ("dw", "pw")), "fc"]
    assert [name for name in names if name in wanted] == wanted
    assert model.input_shape == (None, 49, 10, 1) and model.output_shape == (None, 12)
    assert sum(model.get_layer(name).kernel.shape.num_elements() for name in wanted) == 407_652
    data = load_dataset(str(CLIPS))
    right = np.argmax(model.predict(data.x, verbose=0), axis=1) == data.labels()
    assert right.sum() >= 93


def test_small_model_equals_the_reference_on_the_host(capsys: pytest.CaptureFixture[str]) -> None:
    """Every layer of the small model equals BUILTIN_REF on real clips."""
    report = _json(capsys, "verify", SMALL, "--target", "host", "--data", CLIPS)
    assert report["equal"] and report["inputs"] == SAMPLES and report["first_difference"] is None
    assert len(report["layers"]) == 12 and all(layer["equal"] for layer in report["layers"])


@pytest.mark.qemu
@pytest.mark.parametrize("board", BOARDS)
def test_small_model_walks_the_road(capsys: pytest.CaptureFixture[str], tmp_path: Path, board: str) -> None:
    """generate, build, flash, check: every output byte equal, and the board hears the words."""
    out = tmp_path / "out"
    _json(capsys, "generate", SMALL, "--board", board, "-o", out)
    built = _json(capsys, "build", out)
    assert _json(capsys, "flash", out)["build_id"] == built["build_id"]
    results = _json(capsys, "check", out, "--data", CLIPS, "--layers", "--min-accuracy", "0.93")["results"]
    assert results["bit_exact"] == results["samples"] == SAMPLES
    assert results["accuracy"] == results["reference_accuracy"] >= 0.93
    assert all(layer["equal"] for layer in results["layers"])


@pytest.mark.qemu
def test_small_model_pruned_at_once_walks_the_road(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Half of the pointwise weights zero, without training: still bit-exact, and better than guessing."""
    sparse, out = tmp_path / "sparse.tflite", tmp_path / "out"
    _json(capsys, "prune", SMALL, "--one-shot", "--sparsity", "0.5", "-o", sparse)
    _json(capsys, "generate", sparse, "--board", "mps2-an386", "--optimize", "flash", "-o", out)
    _json(capsys, "build", out)
    _json(capsys, "flash", out)
    results = _json(capsys, "check", out, "--data", CLIPS)["results"]
    assert results["bit_exact"] == SAMPLES
    assert results["accuracy"] > 0.5


# How the data are made


@pytest.mark.parametrize("length", [0, 1, 15_999, 16_000])
def test_place_keeps_the_word_whole(words: ModuleType, length: int) -> None:
    """A word lies whole in its second, at most SHIFT samples off the middle."""
    word = np.arange(1, length + 1, dtype=np.float32)
    starts = set()
    for seed in range(20):
        clip = words.place(word, np.random.default_rng(seed))
        assert clip.shape == (16_000,) and clip.dtype == np.float32
        assert np.array_equal(clip[clip != 0], word)
        if length:
            starts.add(int(np.flatnonzero(clip)[0]))
            assert abs(min(starts, default=0) - (16_000 - length) // 2) <= words.SHIFT
    assert len(starts) == {0: 0, 1: 20, 15_999: 2, 16_000: 1}[length]


def test_trim(words: ModuleType) -> None:
    """What is quieter than a fiftieth of the peak goes from both ends; a second is the most that stays."""
    samples = np.array([0, 0.01, 0.5, 0, -1, 0.3, 0.019], np.float32)
    assert words.trim(samples).tolist() == np.array([0.5, 0, -1, 0.3], np.float32).tolist()
    assert len(words.trim(np.ones(20_000, np.float32))) == 16_000
    assert len(words.trim(np.zeros(0, np.float32))) == 0


def test_resample_keeps_a_tone(words: ModuleType) -> None:
    """440 Hz at 22050 Hz are 440 Hz at 16000 Hz, of the same height."""
    tone = np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050).astype(np.float32)
    wanted = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.allclose(words.resample(tone, 22_050), wanted, atol=1e-4)
    assert words.resample(tone, 16_000) is tone


def test_noise_has_one_loudness(words: ModuleType, rng: np.random.Generator) -> None:
    """Noise of every colour has rms 1 and no offset worth naming."""
    for _ in range(5):
        made = words.noise(rng)
        assert made.shape == (16_000,)
        assert np.sqrt(np.mean(made**2)) == pytest.approx(1, rel=1e-3)


def test_mix_is_16_bit_audio(words: ModuleType) -> None:
    """Clips are steps of 2^-15 in -1..1, equal for equal seeds and other for others."""
    word = np.sin(np.arange(5000, dtype=np.float32) / 5)
    first, again, other = (words.mix(word, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(first * 32768, np.round(first * 32768)) and np.abs(first).max() <= 1
    assert 0 < np.abs(words.mix(None, np.random.default_rng(3))).max() < 1


def test_no_voice_is_in_two_parts(words: ModuleType) -> None:
    """Variations of a voice stay with it, and a part without voices is refused."""
    families = {
        "robosoft3": "robosoft",
        "Gene2": "gene",
        "f1": "f1",
        "m8": "m8",
        "AnxiousAndy": "andy",
        "caleb": "klatt",
    }
    assert {voice: words.voice_family(voice) for voice in families} == families
    assert len({words.part_of(v) for v in ("klatt", "klatt2", "klatt6", "caleb")}) == 1
    assert words.part_of("iven3") == "test"  # dense.keras never heard it: the hash must stay what it is
    with pytest.raises(DataError, match="has 2 voice variants, 0 of them for the train part"):
        words.split_voices(["iven", "adam"])


def test_missing_espeak_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without espeak-ng the data end in one error that names the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(McupruneError) as caught:
        load_dataset("words:test", base=EXAMPLE)
    assert "espeak-ng is not installed" in str(caught.value) and "sudo apt-get install espeak-ng" in str(caught.value)


def test_espeak_speaks_the_same_word_again(words: ModuleType, espeak: Path) -> None:
    """A clip follows from its seed; another voice makes another one."""
    voices = words.split_voices(words.installed_voices(espeak))
    families = {part: {words.voice_family(voice) for voice in found} for part, found in voices.items()}
    assert not any(families[a] & families[b] for a, b in itertools.combinations(families, 2))
    yes = words.class_names.index("yes")
    clip, label = words.make_clip(espeak, voices["test"], "test", yes)
    again, _ = words.make_clip(espeak, voices["test"], "test", yes)
    other, _ = words.make_clip(espeak, voices["train"], "train", yes)
    assert label == yes and clip.shape == (16_000,)
    assert np.array_equal(clip, again) and not np.array_equal(clip, other)


@pytest.mark.parametrize("accent_index", range(7))
def test_every_accent_takes_variants(words: ModuleType, espeak: Path, accent_index: int) -> None:
    """Two voices differ in every accent: an accent that ignores variants would put one voice in all parts."""

    class Fixed:
        """Always this accent, the middle pitch and speed."""

        def integers(self, low: int, high: int | None = None) -> int:
            return accent_index if high is None else (low + high) // 2

    spoken = [words.speak(espeak, "yes", voice, Fixed()) for voice in ("f3", "m3")]
    assert min(map(len, spoken)) > 2000
    assert not np.array_equal(spoken[0], spoken[1])


def test_espeak_that_gives_no_audio(words: ModuleType, tmp_path: Path, rng: np.random.Generator) -> None:
    """Something else under that name is an error that shows the command."""
    fake = tmp_path / "espeak-ng"
    fake.write_text("#!/bin/sh\necho no such voice >&2; exit 1\n")
    fake.chmod(0o755)
    with pytest.raises(DataError, match="no such voice") as caught:
        words.speak(fake, "yes", "f3", rng)
    assert "--stdout yes" in str(caught.value)


@pytest.mark.train
def test_features_are_those_of_the_clips(words: ModuleType, espeak: Path) -> None:
    """The first test clips, spoken again, have the features that the repository carries (espeak-ng 1.51 made them)."""
    pytest.importorskip("tensorflow")
    version = words.run_tool([espeak, "--version"]).stdout
    if " 1.51 " not in version:
        pytest.skip(f"the clips were made by espeak-ng 1.51, not by {version.strip()}")
    made = words.make(espeak, {"train": 0, "validation": 0, "test": 24})
    kept = load_dataset(str(CLIPS))
    assert np.array_equal(made["y_test"], kept.labels()[:24])
    assert np.allclose(made["x_test"], kept.x[:24], atol=0.05)


@pytest.mark.train
def test_the_set_is_kept_and_found_again(
    words: ModuleType, espeak: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second call reads the cache; a damaged file is made again."""
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(words, "COUNTS", {"train": 12, "validation": 12, "test": 24})
    x, y = words.test()
    assert x.shape == (24, 49, 10, 1) and x.dtype == np.float32 and len(words.load()) == 4
    file = words.cache_file(espeak)
    assert file.parent == tmp_path / "cache" and [f.name for f in file.parent.iterdir()] == [file.name]
    capsys.readouterr()
    assert np.array_equal(words.test()[0], x) and not capsys.readouterr().err
    file.write_bytes(file.read_bytes()[:1000])
    assert np.array_equal(words.test()[1], y)
    assert "damaged" in capsys.readouterr().err
