"""`verify`: every layer of real models against BUILTIN_REF, through the host build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mcuprune.cli import run

MODELS = [
    "kws_ref_model_int8",
    "ds_cnn_s_int8",
    "ds_cnn_m_int8",
    "ds_cnn_l_int8",
    "pretrainedResnet_quant",
    "vww_96_int8",
]


@pytest.mark.shared
@pytest.mark.parametrize("model", MODELS)
def test_every_layer_equals_the_reference(shared: Path, model: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Random inputs give equal bytes at every layer of every real model."""
    assert run(["verify", str(shared / "models" / f"{model}.tflite"), "--random", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["equal"] and result["inputs"] == 3
    assert all(layer["equal"] for layer in result["layers"])


@pytest.mark.shared
def test_labels_are_counted(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With labels, how many are right of those that have one; random inputs have none."""
    data = f"{shared / 'data' / 'ic01_cifar10_200.npz'}:x=image,y=label"
    command = ["verify", str(shared / "models" / "pretrainedResnet_quant.tflite"), "--data", data, "--samples", "9"]
    assert run([*command, "--random", "2", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["inputs"], result["labelled"]) == (11, 9) and 6 <= result["correct"] <= 9
    assert run(command) == 0
    assert f"{result['correct']} of 9 right" in capsys.readouterr().out


@pytest.mark.shared
def test_a_wrong_multiplier_is_named(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layer with wrong numbers is the first difference, with element, expected and got; exit code 1."""
    from mcuprune.ir import rescale

    real = rescale.quantize_multiplier

    def broken(scale: float) -> tuple[int, int]:
        mult, shift = real(scale)
        return mult - mult // 50, shift

    monkeypatch.setattr(rescale, "quantize_multiplier", broken)
    model = shared / "models" / "kws_ref_model_int8.tflite"
    data = shared / "data" / "kws01_mlperf_mfcc_int8_dev500.npz"
    assert run(["verify", str(model), "--data", f"{data}:x=mfcc_int8,y=label", "--samples", "3", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert not result["equal"]
    first = result["first_difference"]
    assert (first["layer"], first["name"], first["sample"]) == (0, "conv_1", 0)
    assert first["expected"] != first["got"]
