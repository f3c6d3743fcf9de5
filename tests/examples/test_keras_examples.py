"""The Keras examples: exact zeros, and the same zeros in their int8 files."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="no TensorFlow: pip install -e '.[train]'")

from mcuprune.cli import run
from mcuprune.masks import zero_count
from mcuprune.quantization import LayerZeros
from mcuprune.quantization.file_zeros import constants

pytestmark = pytest.mark.train

FOLDER = Path(__file__).parents[2] / "examples" / "keras"


def load(name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(layers: Sequence[LayerZeros], share: float, dense: Sequence[str] = ()) -> None:
    """Every weight was found in the file, with exactly this share of zeros in the model and no fewer as int8."""
    assert layers
    for layer in layers:
        wanted = 0 if any(name in layer.keras_name for name in dense) else zero_count(layer.size, share)
        assert layer.keras_zeros == wanted, layer.keras_name
        assert layer.index is not None and layer.zeros >= wanted


def dense_groups(content: bytes) -> list[str]:
    """The constants of a file that have more than 2 nonzeros in 4 consecutive columns, depthwise kernels left out."""
    found = []
    for constant in constants(content, "model"):
        columns = constant.codes.shape[1]
        if constant.op == "DEPTHWISE_CONV_2D":
            continue
        if columns % 4 or (np.count_nonzero(constant.codes.reshape(-1, columns // 4, 4), axis=2) > 2).any():
            found.append(f"{constant.op} {constant.codes.shape}")
    return found


def test_mnist_cnn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The model has the published size; pruned and zipped it has a sixth of that, as int8 a fifteenth."""
    example = load("mnist_cnn")
    x, y = example.digits(200, 3)
    again, _ = example.digits(200, 3)
    assert x.shape == (200, 28, 28, 1) and x.min() >= 0 and x.max() <= 1 and np.array_equal(x, again)
    assert set(y) == set(range(10))
    files = example.main(["--quick", "-o", str(tmp_path)])
    check(files["pruned"].layers, 0.9)
    shown = capsys.readouterr().out
    assert all(f"{name}{kind}" in shown for name in ("dense", "pruned") for kind in (".keras", "_int8.tflite"))
    assert "zipped" in shown and "89.97%" in shown
    assert sum(layer.size for layer in files["pruned"].layers) == 3_273_504
    raw, zipped, int8 = (
        (tmp_path / "dense.keras").stat().st_size,
        len(zlib.compress((tmp_path / "pruned.keras").read_bytes())),
        len(zlib.compress((tmp_path / "pruned_int8.tflite").read_bytes())),
    )
    assert 12e6 < raw < 13.5e6 and zipped < 2e6 and int8 < 0.65e6


def test_imdb_lstm(tmp_path: Path) -> None:
    """Embedding, kernel, recurrent kernel and classifier: 70% each."""
    int8 = load("imdb_lstm").main(["--quick", "-o", str(tmp_path)])
    check(int8.layers, 0.7)
    assert [layer.op for layer in int8.layers] == ["GATHER", *["FULLY_CONNECTED"] * 3]


def test_seq2seq_lstm(tmp_path: Path) -> None:
    """Both LSTMs at 90%, the last layer dense; C of what the converter unrolled equals LiteRT."""
    files = load("seq2seq_lstm").main(["--quick"])
    check(files[0.9].layers, 0.9, dense=["letters"])
    assert len(files[0.9].layers) == 5
    model = tmp_path / "sums.tflite"
    model.write_bytes(files[0.9].content)
    assert run(["verify", str(model), "--random", "3"]) == 0


def test_inception_v3() -> None:
    """The first blocks at 87.5% and at 2:4, where the first kernel's 27 columns stay dense."""
    files = load("inception_v3").main(["--quick"])
    check(files["87.5%"].layers, 0.875)
    first = files["2:4"].layers[0].keras_name
    check(files["2:4"].layers[1:], 0.5)
    assert files["2:4"].layers[0].keras_zeros == 0 and first.startswith("conv2d")
    assert dense_groups(files["2:4"].content) == ["CONV_2D (32, 27)"]


def test_mobilenet() -> None:
    """The first blocks of V1 at 50% and of V2 at 2:4, in files that the importer takes."""
    files = load("mobilenet").main(["--quick"])
    for (model, share), int8 in files.items():
        depthwise = ["conv_dw", "depthwise"]
        first = [int8.layers[0].keras_name] if share == "2:4" else []
        check(int8.layers, 0.5, dense=[*depthwise, *first])
        if share == "2:4":
            assert dense_groups(int8.content) == ["CONV_2D (32, 27)"], model
    assert list(files) == [("MobileNetV1", "50%"), ("MobileNetV2", "2:4")]


@pytest.mark.full
def test_inception_v3_whole() -> None:
    """All 95 kernels in all four rows."""
    files = load("inception_v3").main([])
    for name, share in (("50%", 0.5), ("75%", 0.75), ("87.5%", 0.875)):
        assert len(files[name].layers) == 95
        check(files[name].layers, share)
    check(files["2:4"].layers[1:], 0.5)
    assert len(dense_groups(files["2:4"].content)) == 1


@pytest.mark.full
def test_mobilenet_whole() -> None:
    """V1 with 28 kernels and V2 with 53, both at both."""
    files = load("mobilenet").main([])
    assert sorted({len(int8.layers) for int8 in files.values()}) == [28, 53]
    for (_, share), int8 in files.items():
        first = [int8.layers[0].keras_name] if share == "2:4" else []
        check(int8.layers, 0.5, dense=["conv_dw", "depthwise", *first])


@pytest.mark.full
def test_seq2seq_learns() -> None:
    """The task is learned at 80, 85 and 90% zeros, and as int8 (94.0, 94.8 and 89.6% of the new sums when written)."""
    example = load("seq2seq_lstm")
    files = example.main([])
    x, y = example.sums(50)
    new = slice(len(x) * 9 // 10, None)
    for share, int8 in files.items():
        check(int8.layers, share, dense=["letters"])
        assert example.whole(int8.predict(x[new]), y[new]) > 0.75
    assert list(files) == [0.8, 0.85, 0.9]
