"""Checks a row of docs/study-dscnn.md on an emulated board: `python examples/speech-commands/rows.py 2_4_50`.

The int8 models of the main rows lie compressed in models/. Without a name: all of them. The real clips are those of the
shared folder; `--data` names others, FILE.npz:x=NAME,y=NAME or module:function, such as `speech_commands:test` for the
test set of a file that `mcuprune data speech-commands` made.
"""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import speech_commands

from mcuprune.build.folder import open_folder
from mcuprune.flash.power import board_opener
from mcuprune.importers.tflite import import_tflite
from mcuprune.inputs import encode_inputs, model_input
from mcuprune.link.client import LinkClient

MODELS = Path(__file__).parent / "models"
CLIPS = "speech_commands_kws01_dev500.npz"


def verb(*arguments: str | Path) -> dict[str, Any]:
    """One verb of the tool, as JSON."""
    command = [sys.executable, "-m", "mcuprune", *map(str, arguments), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def project(model: Path, board: str, folder: Path) -> Path:
    """The model's generated folder for a board, built."""
    out = folder / f"{model.stem}-{board}"
    verb("generate", model, "--board", board, "--name", "ds_cnn_l", "--optimize", "speed", "-o", out)
    verb("build", out)
    return out


def int8_accuracy(model: Path, x: np.ndarray, y: np.ndarray) -> float:
    """Share of right answers of the generated C, built for this computer."""
    graph = import_tflite(model)
    rows = encode_inputs(x, model_input(graph), "x").rows
    with tempfile.TemporaryDirectory() as folder:
        built = open_folder(project(model, "host", Path(folder)))
        with LinkClient(board_opener(built)()) as board:
            board.hello()
            outputs = [np.frombuffer(board.infer(row.tobytes()).output, np.int8).argmax() for row in rows]
    return float(np.mean(np.array(outputs) == y))


def flash_and_check(model: Path, board: str, folder: Path, data: str = "") -> dict[str, Any]:
    """Real clips through the flashed board, every output byte held against the reference; and what it costs there."""
    data = data or f"{speech_commands.find_data().parent / CLIPS}:x=mfcc_arm,y=label"
    built = project(model, board, folder)
    port = f"row-{model.stem}"
    verb("flash", built, "--port", port)
    checked = verb("check", built, "--data", data, "--port", port)["results"]
    totals = verb("profile", built)["totals"]
    return {
        "correct": checked["correct"],
        "samples": checked["samples"],
        "cycles": totals["modelled_cycles"],
        "instructions": totals["instructions"],
        "weight_bytes": totals["weight_flash_bytes"],
    }


def compress(model: Path, target: Path) -> None:
    """A file as .xz; equal content gives equal bytes."""
    target.write_bytes(lzma.compress(model.read_bytes(), preset=9 | lzma.PRESET_EXTREME))


def main(arguments: list[str]) -> None:
    data = arguments.pop(arguments.index("--data") + 1) if "--data" in arguments else ""
    names = [name for name in arguments if name != "--data"]
    files = sorted(MODELS.glob("*.tflite.xz"))
    known = {file.name.removeprefix("ds_cnn_l_").removesuffix(".tflite.xz"): file for file in files}
    for name in names or known:
        if name not in known:
            raise SystemExit(f"no row {name}; there are {', '.join(known)}")
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / f"{name}.tflite"
            model.write_bytes(lzma.decompress(known[name].read_bytes()))
            told = flash_and_check(model, "mps2-an386", Path(folder), data)
        print(f"{name}: {told['correct']} of {told['samples']} clips right, {told['cycles'] / 1e6:.1f} M cycles "
              f"(modelled), {told['weight_bytes'] / 1000:.0f} kB of weights", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
