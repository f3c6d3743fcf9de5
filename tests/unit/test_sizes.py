"""mcuprune size: bytes, zipped bytes and nonzero parameters of model files, and what is no model file."""

from __future__ import annotations

import io
import json
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from mcuprune.cli import run
from mcuprune.errors import ModelError, ToolMissingError, UsageError
from mcuprune.importers.tflite import import_bytes
from mcuprune.pruning import prune_one_shot
from mcuprune.sizes import model_size
from tests.models import every_operator


def deflated(content: bytes) -> int:
    """Bytes of a raw deflate stream."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return len(packer.compress(content) + packer.flush())


def keras_file(path: Path, content: dict[str, np.ndarray]) -> Path:
    """A file like those that Keras saves, with these variables."""
    h5py = pytest.importorskip("h5py")
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, values in content.items():
            file[name] = values
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", weights.getvalue())
    return path


def test_tflite(tmp_path: Path) -> None:
    """All constants with a scale count, shapes do not; zipped is the whole file."""
    dense = every_operator()
    sparse = prune_one_shot(dense, "m", sparsity=0.9).content
    for content in (dense, sparse):
        path = tmp_path / "m.tflite"
        path.write_bytes(content)
        graph = import_bytes(content, "m")
        used = {i: graph.tensor(i) for op in graph.ops for i in op.inputs if i >= 0}
        constants = [t.data for t in used.values() if t.data is not None and t.quant is not None]
        size = model_size(path)
        assert (size.file, size.bytes, size.zipped) == ("m.tflite", len(content), "file")
        assert size.parameters == sum(values.size for values in constants)
        assert size.nonzero == sum(np.count_nonzero(values) for values in constants)
        assert size.zipped_bytes == deflated(content)
        assert size.sparsity == 1 - size.nonzero / size.parameters


@pytest.mark.parametrize("packed", [False, True])
def test_npz(tmp_path: Path, packed: bool, rng: np.random.Generator) -> None:
    """Arrays of numbers count, names do not; zipped is of the numbers however the file is packed."""
    kernel = rng.normal(size=(50, 40)).astype(np.float32) * (rng.random((50, 40)) < 0.1)
    bias = np.ones(40, np.float16)
    path = tmp_path / "m.npz"
    (np.savez_compressed if packed else np.savez)(path, kernel=kernel.T, bias=bias, names=np.array(["a", "b"]))
    size = model_size(path)
    assert (size.bytes, size.zipped, size.parameters) == (path.stat().st_size, "weights", 2040)
    assert size.nonzero == np.count_nonzero(kernel) + 40
    assert size.zipped_bytes == deflated(np.ascontiguousarray(kernel.T).tobytes() + bias.tobytes())
    assert size.zipped_bytes < kernel.nbytes / 3


def test_keras(tmp_path: Path) -> None:
    """Variables of layers count, those of the optimizer and of random generators do not. TensorFlow is not imported."""
    kernel = np.arange(12, dtype=np.float32).reshape(3, 4)
    path = keras_file(
        tmp_path / "m.keras",
        {
            "layers/dense/vars/0": kernel,
            "layers/dense/vars/1": np.int8([0, 1]),
            "layers/dropout/seed_generator/vars/0": np.uint32([1, 2]),
            "optimizer/vars/1": kernel,
        },
    )
    before = set(sys.modules)
    size = model_size(path)
    assert (size.parameters, size.nonzero, size.zipped) == (14, 12, "weights")
    assert size.zipped_bytes == deflated(kernel.tobytes() + b"\0\1")
    assert not {"tensorflow", "keras"} & (set(sys.modules) - before)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .keras needs h5py, which is said; other files do not."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = tmp_path / "m.keras"
    path.write_bytes(b"")
    with pytest.raises(ToolMissingError, match="h5py is not installed"):
        model_size(path)
    np.savez(tmp_path / "m.npz", w=np.ones(3))
    assert model_size(tmp_path / "m.npz").nonzero == 3


@pytest.mark.parametrize("name", ["m.tflite", "m.npz", "m.keras"])
def test_broken_files(tmp_path: Path, name: str, rng: np.random.Generator) -> None:
    """Cut, garbled, empty and missing files are one ModelError that names the file."""
    path = tmp_path / name
    with pytest.raises(ModelError, match="no such model file"):
        model_size(path)
    if name == "m.npz":
        np.savez_compressed(path, w=rng.normal(size=100), v=rng.normal(size=100))
    elif name == "m.keras":
        keras_file(path, {"layers/a/vars/0": rng.normal(size=100)})
    else:
        path.write_bytes(every_operator())
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2], whole[:-1] if name != "m.tflite" else whole[:100]):
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            model_size(path)
        assert name in str(caught.value.where) and caught.value.hint
    for _ in range(30):
        garbled = bytearray(whole)
        for place in rng.integers(0, len(whole), 20):
            garbled[place] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(garbled)
        try:
            assert model_size(path).bytes == len(whole)
        except ModelError as error:
            assert name in str(error.where)


def test_what_holds_no_parameters(tmp_path: Path) -> None:
    """Files that hold nothing to count, objects, and other kinds of files."""
    np.savez(tmp_path / "names.npz", names=np.array(["a"]))
    with pytest.raises(ModelError, match="no parameters"):
        model_size(tmp_path / "names.npz")
    np.savez(tmp_path / "objects.npz", w=np.array([{}], object))
    with pytest.raises(ModelError, match=r"broken or no \.npz"):
        model_size(tmp_path / "objects.npz")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    pytest.importorskip("h5py")
    with pytest.raises(ModelError, match="it has no weights"):
        model_size(tmp_path / "m.keras")
    with pytest.raises(UsageError, match=r"neither a \.keras, a \.npz nor a \.tflite"):
        model_size(tmp_path / "m.txt")


def test_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a file, ratios against the first; --json; the exit codes."""
    np.savez(tmp_path / "dense.npz", w=np.random.default_rng(0).normal(size=(100, 100)))
    np.savez(tmp_path / "sparse.npz", w=np.eye(100))
    (tmp_path / "m.tflite").write_bytes(every_operator())
    files = [str(tmp_path / name) for name in ("dense.npz", "sparse.npz", "m.tflite")]
    assert run(["size", *files, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    assert [row["file"] for row in rows] == files
    assert rows[1]["parameters"] == 10000 and rows[1]["nonzero"] == 100 and rows[1]["sparsity"] == 0.99
    assert (
        rows[0]["zipped_ratio"] == 1.0 and rows[1]["zipped_ratio"] == rows[0]["zipped_bytes"] / rows[1]["zipped_bytes"]
    )
    assert rows[2]["bytes_ratio"] == rows[0]["bytes"] / rows[2]["bytes"] and rows[2]["zipped"] == "file"
    assert run(["size", *files]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["file", "bytes"] and "99.00%" in lines[2] and "1.00x" in lines[1]
    for name, code in (("none.npz", 3), ("m.txt", 2), ("..", 2)):
        assert run(["size", files[0], str(tmp_path / name)]) == code
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.startswith("error: ")
    assert run(["size"]) == 2
