"""What --data may name, and what samples become."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from mcuprune.data import Dataset, load_dataset, parse_spec
from mcuprune.errors import DataError, ModelError, UsageError
from mcuprune.inputs import (
    as_tensors,
    check_labels,
    encode_inputs,
    encode_samples,
    model_input,
    output_number,
    output_rows,
    random_inputs,
)
from mcuprune.ir.attributes import NoAttrs
from mcuprune.ir.graph import DType, Graph, Op, Quant, Tensor
from mcuprune.quantization.parts import training_part, validation_part

QUANT = Quant((0.5,), (3,))


def tensor(dtype: DType = DType.INT8, shape: tuple[int, ...] = (1, 2, 3)) -> Tensor:
    return Tensor(0, "x", shape, dtype, QUANT if dtype is DType.INT8 else None)


def graph(dtype: DType = DType.INT8, codes: DType = DType.INT8) -> Graph:
    """Input `x`, a QUANTIZE where it is float, 4 classes."""
    out = Tensor(1, "out", (1, 4), codes, QUANT)
    op = Op(0, "QUANTIZE", "q", (0,), (1,), NoAttrs())
    return Graph((tensor(dtype, (1, 4)), out), (op,), (0,), (1,), "00" * 32, "toy.tflite")


@pytest.fixture
def npz(tmp_path, monkeypatch) -> Path:
    """data.npz in the current folder."""
    monkeypatch.chdir(tmp_path)
    arrays = {
        "x": np.zeros((5, 6), np.float32),
        "y": np.arange(5, dtype=np.uint8),
        "label_b": np.zeros((5, 1), np.int64),
        "class_names": np.array(["a", "b"]),
        "class_names_b": np.array(["b", "a"]),
        "x=1:2": np.ones((5, 6), np.int8),
        "audio": np.zeros((5, 9), np.int16),
    }
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


def test_default_keys(npz):
    """Keys default to x and y; class names come along."""
    data = load_dataset("data.npz")
    assert (len(data), data.xv, data.class_names, data.source) == (5, None, ("a", "b"), "data.npz")
    assert data.head(2).labels().tolist() == [0, 1] and len(data.head(None)) == 5


def test_named_keys(npz):
    """All four roles can be named; the validation part comes along, column labels become flat."""
    data = load_dataset("data.npz:x=audio,y=label_b,xv=x,yv=y")
    assert data.x.dtype == np.int16 and data.labels().shape == (5,)
    assert data.xv is not None and data.xv.shape == (5, 6)
    assert data.class_names == ("b", "a")  # of label_b


@pytest.mark.parametrize("name", ["od:d.npz", "x=1.npz", "a:x=b.npz", "a:x=x,y=y"])
def test_odd_file_names(npz, name):
    """A file that exists is found even where its name looks like a spec."""
    npz.rename(npz.parent / name)
    assert load_dataset(name).x.dtype == np.float32
    assert load_dataset(f"{name}:y=y,x=x=1:2").x.dtype == np.int8


def test_base_folder(npz, tmp_path_factory, monkeypatch):
    """A relative file is looked up in the recipe's folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(load_dataset("data.npz:x=x", base=npz.parent)) == 5


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("missing.npz", "no file missing.npz"),
        ("missing.npz:x=a", "no file missing.npz"),
        ("data.npz:z=a", "'z=a' is none of"),
        ("data.npz:x", "'x' is none of"),
        ("data.npz:x=", "'x=' is none of"),
        ("data.npz:x=x,x=y", "'x=y' is given twice"),
        ("data.npz:xv=x", "go together"),
        ("what is this", "neither a file nor module:function"),
        ("data.npz:y=class_names", "not integers"),
        ("data.npz:y=x", "not integers"),
        (
            "data.npz:y=absent",
            r"no key 'absent' for y; the file holds x float32 \(5, 6\), y uint8 \(5,\), label_b int64",
        ),
        ("no_such_module_here:load", "no module no_such_module_here"),
    ],
)
def test_bad_specs(npz, spec, words):
    """Each wrong spec is one DataError that says where."""
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(spec)
    assert caught.value.where


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"x" * 500])
def test_broken_files(tmp_path, content):
    """A file that is no archive, or a broken one, is a DataError."""
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(DataError):
        load_dataset(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize("cut", [10, 300, 800, -1])
def test_damaged_archives(npz, cut):
    """A cut or flipped archive is a DataError or loads; nothing else escapes."""
    content = bytearray(npz.read_bytes())
    content[cut] ^= 0xFF
    for damaged in (bytes(content), npz.read_bytes()[:cut]):
        npz.write_bytes(damaged)
        with contextlib.suppress(DataError):
            load_dataset(str(npz))


def test_objects_are_not_unpickled(tmp_path):
    """Pickled arrays are refused."""
    np.savez(tmp_path / "p.npz", x=np.array([{}], object), y=np.zeros(1, int))
    with pytest.raises(DataError, match="cannot be read"):
        load_dataset(str(tmp_path / "p.npz"))


def test_without_labels(tmp_path):
    """Where labels are not needed a file may have none; a stage that needs them says so."""
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3), np.int8))
    data = load_dataset(str(tmp_path / "x.npz"), need_labels=False)
    assert data.y is None and data.head(1).y is None
    with pytest.raises(DataError, match="no labels"):
        data.labels()
    with pytest.raises(DataError, match="no key 'y'"):
        load_dataset(str(tmp_path / "x.npz"))


def test_numbers_must_match(tmp_path):
    """Samples and labels are counted."""
    np.savez(tmp_path / "x.npz", x=np.zeros((2, 3)), y=np.zeros(3, int))
    with pytest.raises(DataError, match="x has 2 samples and y has 3 labels"):
        load_dataset(str(tmp_path / "x.npz"))
    np.savez(tmp_path / "x.npz", x=np.zeros((0, 3)), y=np.zeros(0, int))
    with pytest.raises(DataError, match="no samples"):
        load_dataset(str(tmp_path / "x.npz"))


MODULE = """
import numpy as np
class_names = ["a", "b"]
def load(): return np.zeros((3, 2)), [0, 1, 1]
def both(): return np.zeros((3, 2)), [0, 1, 1], np.zeros((1, 2)), [1]
def three(): return 1, 2, 3
def broken(): return {}["key"]
def leave(): raise SystemExit(0)
def ragged(): return [[1, 2], [3]], [0, 1]
"""


def test_module_function(tmp_path, monkeypatch):
    """module:function from the recipe's folder, or the current one; sys.path stays as it was."""
    (tmp_path / "json.py").write_text(MODULE)  # wins over the standard module of this name
    data = load_dataset("json:load", base=tmp_path)
    assert len(data) == 3 and data.class_names == ("a", "b") and data.labels().tolist() == [0, 1, 1]
    monkeypatch.chdir(tmp_path)
    assert load_dataset("json:both").yv is not None
    assert parse_spec("pack.age:f").module == "pack.age"


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("absent", "no function 'absent'; it has both, broken, leave, load, ragged, three"),
        ("three", "returned tuple of 3"),
        ("broken", r"broken\(\) failed: KeyError: 'key'"),
        ("ragged", r"what ragged\(\) returned makes no array"),
        ("leave", r"leave\(\) failed: SystemExit: 0"),
    ],
)
def test_bad_functions(tmp_path, monkeypatch, function, words):
    """A function that fails is named with its file and line."""
    (tmp_path / "loader.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=words) as caught:
        load_dataset(f"loader:{function}")
    if function == "broken":
        assert re.search(r"loader.py:7$", caught.value.where)


def test_module_with_a_fault(tmp_path, monkeypatch):
    """A module that cannot be imported says why."""
    monkeypatch.chdir(tmp_path)
    Path("syntax.py").write_text("def (")
    Path("needs.py").write_text("import not_installed_here")
    Path("leaves.py").write_text("import sys; sys.exit(0)")
    with pytest.raises(DataError, match="SyntaxError"):
        load_dataset("syntax:load")
    with pytest.raises(DataError, match="not_installed_here"):
        load_dataset("needs:load")
    with pytest.raises(DataError, match="module leaves failed: SystemExit: 0"):
        load_dataset("leaves:load")


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f4", "f8"])
def test_floats_are_quantized(dtype):
    """Real values round half away from zero and clamp, as TFLite's QUANTIZE does."""
    x = np.array([[0.25, -0.25, 0.75, 1000, -1000, 0.24]], dtype)
    encoded = encode_inputs(x, tensor(), "d")
    assert encoded.rows.view(np.int8).tolist() == [[4, 2, 5, 127, -128, 3]]
    assert encoded.rows.dtype == np.uint8 and encoded.rows.shape == (1, 6)
    assert "(6,) reshaped row-major" in encoded.notes[0]


@pytest.mark.parametrize(
    ("dtype", "quant", "codes"),
    [
        (DType.INT16, Quant((0.001,), (0,)), [251, -250, 750, 32767, -32768, 0]),
        (DType.UINT8, Quant((0.5,), (9,)), [10, 8, 11, 255, 0, 9]),
    ],
)
def test_floats_become_codes_of_the_input(dtype, quant, codes):
    """Inputs of int16 and uint8 take real values, too."""
    x = np.array([[0.2506, -0.2504, 0.7504, 1000, -1000, 0.0004]])
    rows = encode_inputs(x, dataclasses.replace(tensor(), dtype=dtype, quant=quant), "d").rows
    assert rows.view(dtype.numpy).tolist() == [codes]


def test_codes():
    """int8 are stored codes, uint8 are codes + 128 or values of a float input."""
    codes = np.array([[[-128, -1, 0], [1, 127, 5]]], np.int8)
    assert encode_inputs(codes, tensor(), "d").rows.view(np.int8).tolist() == codes.reshape(1, -1).tolist()
    assert encode_inputs(codes, tensor(), "d").notes == ()
    pixels = np.array([[0, 127, 128, 129, 255, 1]], np.uint8)
    assert encode_inputs(pixels, tensor(), "d").rows.view(np.int8).tolist() == [[-128, -1, 0, 1, 127, -127]]
    values = encode_inputs(pixels, tensor(DType.FLOAT32), "d").rows.view("<f4")
    assert values.tolist() == [[0, 127, 128, 129, 255, 1]]


def test_floats_travel_as_floats():
    """A float input gets float32 bytes."""
    x = np.linspace(-1, 1, 12).reshape(2, 2, 3)
    rows = encode_inputs(x, tensor(DType.FLOAT32), "d").rows
    assert rows.shape == (2, 24) and (rows.view("<f4") == x.reshape(2, 6).astype(np.float32)).all()


@pytest.mark.parametrize(
    ("x", "dtype", "words"),
    [
        (np.zeros((1, 7)), DType.INT8, r"7 values \(7,\).*'x' \(int8, scale 0.5, zero point 3\) takes 6 \(2, 3\)"),
        (np.zeros((1, 6), np.int8), DType.FLOAT32, "type int8 do not fit the model input 'x' .float32"),
        (np.zeros((1, 6), np.int16), DType.INT8, "type int16 do not fit"),
        (np.zeros((1, 6), bool), DType.FLOAT32, "type bool do not fit"),
        (np.zeros((1, 6)), DType.INT32, "type float64 do not fit"),
        (np.array([[0, 1, 2, np.nan, 0, 0]]), DType.INT8, "value 3 of sample 0 is nan"),
        (np.array([[0] * 6, [0, np.inf, 0, 0, 0, 0]]), DType.FLOAT32, "value 1 of sample 1 is inf"),
        (np.array([[1e300, 0, 0, 0, 0, 0]]), DType.FLOAT32, r"is 1e\+300"),
    ],
)
def test_data_that_do_not_fit(x, dtype, words):
    """One error that names the data and the model's input."""
    with pytest.raises(DataError, match=words) as caught:
        encode_inputs(x, tensor(dtype), "some.npz")
    assert "some.npz" in caught.value.where and str(x.dtype) in caught.value.where


@pytest.mark.parametrize("labels", [[0, 4], [3, -1]])
def test_label_range(labels):
    """A label that is no class is named with its sample."""
    check_labels(np.array([0, 3]), graph(), "d")
    bad = next(i for i in labels if not 0 <= i < 4)
    with pytest.raises(DataError, match=f"label {bad} of sample 1 is none of the classes 0..3 of toy.tflite"):
        check_labels(np.array(sorted(labels, key=lambda i: i == bad)), graph(), "d")


def test_random_codes():
    """Seeded, every code appears."""
    rows = random_inputs(graph(), 1000, 1)
    assert rows.shape == (1000, 4) and len(np.unique(rows)) == 256
    assert (rows == random_inputs(graph(), 1000, 1)).all() and (rows != random_inputs(graph(), 1000, 2)).any()


@pytest.mark.parametrize("codes", [DType.INT8, DType.UINT8, DType.INT16])
def test_random_floats(codes):
    """Floats cover the range of the model's QUANTIZE, go beyond it, and meet its halfway points."""
    values = random_inputs(graph(DType.FLOAT32, codes), 1000, 1).view("<f4")
    low, high = ((code - 3) * 0.5 for code in codes.limits)
    assert values.shape == (1000, 4) and 0.02 < ((values < low) | (values > high)).mean() < 0.08
    assert ((values / 0.5) % 1 == 0.5).mean() > 0.04


def several() -> Graph:
    """A model with an int8 and a float input of 4 values."""
    taken = (tensor(shape=(1, 4)), dataclasses.replace(tensor(DType.FLOAT32, (1, 4)), index=1, name="second"))
    return dataclasses.replace(graph(), tensors=taken, inputs=(0, 1), outputs=(1, 0))


def test_one_input_where_several_make_no_sense():
    """What takes a model of one input says so."""
    with pytest.raises(ModelError, match="2 inputs"):
        model_input(several())


def test_several_inputs(tmp_path):
    """x=a+b names them in the model's order; a sample's row holds one after the other, and splits again."""
    a, b = np.arange(12, dtype=np.int8).reshape(3, 4), np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
    np.savez(tmp_path / "d.npz", a=a, b=b, y=np.arange(3), **{"c+d": a})
    data = load_dataset("d.npz:x=a+b", base=tmp_path, several=True).head(2)
    rows = encode_samples(data, several()).rows
    assert rows.shape == (2, 20)
    first, second = as_tensors(rows[1], several())
    assert (first.reshape(-1) == a[1]).all() and (second.reshape(-1) == b[1]).all()
    assert load_dataset("d.npz:x=c+d", base=tmp_path).others == ()
    with pytest.raises(DataError, match="are of 2 inputs, this verb works on models with one"):
        load_dataset("d.npz:x=a+b", base=tmp_path)
    with pytest.raises(DataError, match="no key 'e'"):
        load_dataset("d.npz:x=a+e", base=tmp_path)
    with pytest.raises(DataError, match=r"takes 2 inputs .*, the data hold 1"):
        encode_samples(load_dataset("d.npz:x=a", base=tmp_path), several())
    np.savez(tmp_path / "uneven.npz", a=a, b=b[:2], y=np.arange(3))
    with pytest.raises(DataError, match="input 0 of x has 3 samples, input 1 has 2"):
        load_dataset("uneven.npz:x=a+b", base=tmp_path, several=True)


def test_several_inputs_from_a_function(tmp_path):
    """A dict of arrays holds them in the model's order."""
    (tmp_path / "two.py").write_text(
        "import numpy as np\ndef load():\n    return {'p': np.zeros((3, 4)), 'q': np.ones((3, 2))}, np.arange(3)\n"
    )
    data = load_dataset("two:load", base=tmp_path, several=True)
    assert data.x.shape == (3, 4) and [x.shape for x in data.others] == [(3, 2)]


def test_random_inputs_of_several():
    """Each input gets its own kind of values; the first has those that it would have alone."""
    rows = random_inputs(several(), 5, 1)
    assert rows.shape == (5, 20) and (rows[:, :4] == random_inputs(graph(), 5, 1)).all()


def test_an_output_by_number_or_name():
    """Unknown ones are told with those that there are."""
    assert output_number(several(), "1") == 1 and output_number(several(), "second") == 0
    rows = np.arange(40, dtype=np.uint8).reshape(2, 20)
    assert output_rows(rows, several(), 1)[1].tolist() == [36, 37, 38, 39]
    with pytest.raises(UsageError, match="no output '2'") as fault:
        output_number(several(), "2")
    assert "0 (second)" in str(fault.value.hint)


def test_parts_of_quantization():
    """What compares never calibrates; the data's own validation part is taken where there is one."""
    x, y = np.arange(40), np.arange(40) % 4
    plain = Dataset(x, y, None, None, "d")
    held = validation_part(plain, 3)
    assert held is not None and len(held[0]) == 4 and (held[1] == held[0] % 4).all()
    assert sorted([*training_part(plain, 3), *held[0]]) == x.tolist()
    own = Dataset(x, y, x + 100, y, "d")
    chosen = validation_part(own, 3)
    assert training_part(own, 3) is x and chosen is not None and chosen[0][0] == 100
    bare = Dataset(x, None, None, None, "d")
    assert training_part(bare, 3) is x and validation_part(bare, 3) is None


@pytest.mark.shared
def test_real_clips(shared):
    """The keyword clips meet the models that they were made for."""
    mlperf = load_dataset(f"{shared}/data/kws01_mlperf_mfcc_int8_dev500.npz:x=mfcc_int8,y=label")
    encoded = encode_inputs(mlperf.x, tensor(shape=(1, 49, 10, 1)), mlperf.source)
    assert encoded.rows.shape == (500, 490) and encoded.notes and len(mlperf.class_names or ()) == 12
    arm = load_dataset(f"{shared}/data/speech_commands_kws01_dev500.npz:x=mfcc_arm,y=label_mlperf")
    assert encode_inputs(arm.x, tensor(DType.FLOAT32, (1, 490)), "d").rows.shape == (500, 1960)
    assert arm.class_names == mlperf.class_names
