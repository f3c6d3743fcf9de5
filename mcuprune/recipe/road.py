"""The whole road of a recipe, stage by stage; a stage whose inputs are unchanged is not done again.

prune -> quantize -> generate -> build -> flash -> check. A recipe that starts at a .tflite has no quantize, and prunes
it at once. Every stage leaves its result in the results folder, and a stamp that says what it was made from.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mcuprune.boards import Board, load_board
from mcuprune.build.compile import compile_folder
from mcuprune.build.folder import Folder, open_folder
from mcuprune.build.sizes import measure
from mcuprune.check.score import check
from mcuprune.check.session import SessionOptions
from mcuprune.data import Dataset, load_dataset
from mcuprune.emit.project import write_project
from mcuprune.errors import UsageError
from mcuprune.files import write_file_atomic
from mcuprune.flash.flash import flash, flash_bytes
from mcuprune.flash.power import board_opener, image_build_id
from mcuprune.flash.store import stored_image
from mcuprune.generate import generate
from mcuprune.importers.tflite import import_tflite
from mcuprune.passes.passes import PASSES
from mcuprune.pruning import prune_one_shot
from mcuprune.quantization.options import QatOptions
from mcuprune.recipe.recipe import Recipe
from mcuprune.recipe.stamps import Stamps, data_hash, file_hash, stage_key

Result = dict[str, Any]


class Console(Protocol):
    """Where the road tells how far it is."""

    def say(self, text: str) -> None: ...

    def progress(self, label: str, total: int) -> AbstractContextManager[Callable[[int], None]]: ...

    def training(self, epochs: int) -> AbstractContextManager[Any]:
        """A sparsity.train.Progress; made when TensorFlow is there."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: what it depends on, which files it leaves, and how it is done."""

    name: str
    depends: Mapping[str, Any]
    outputs: tuple[Path, ...]
    work: Callable[[], Result]


class Road:
    """Walks a recipe.

    Args:
        folder: where results and stamps go.
        port: which board; for QEMU a name of the user's choice.
    """

    def __init__(self, recipe: Recipe, folder: Path, console: Console, port: str | None = None) -> None:
        self.recipe = recipe
        self.folder = folder
        self.console = console
        self.port = port
        self.board: Board = load_board(recipe.board)
        if self.board.is_host:
            raise UsageError("a recipe ends on a board", where=str(recipe.file), hint="board = 'mps2-an386'")
        if not recipe.model.is_file():
            raise UsageError(f"there is no model {recipe.model}", where=str(recipe.file))
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is not a folder", hint="name a folder for the results after -o")
        stored_image(self.board.name, port)  # refuses what is no name of an emulated board
        self.base = recipe.file.parent
        self._stamps = Stamps(folder / "stamps")
        self._data: dict[str, Dataset] = {}

    def walk(self) -> dict[str, Result]:
        """Every stage in order; the results by stage.

        Raises:
            McupruneError: of the stage that failed; the stages before it are kept.
        """
        results: dict[str, Result] = {}
        makers = self._makers()
        for number, make in enumerate(makers, 1):
            stage = make()
            key = stage_key(stage.name, stage.depends)
            found = self._stamps.find(stage.name, key)
            label = f"[{number}/{len(makers)}] {stage.name}"
            if found is not None and all(path.exists() for path in stage.outputs):
                self.console.say(f"{label}: unchanged")
                results[stage.name] = found
                continue
            self.console.say(f"{label} ...")
            self._stamps.drop(stage.name)
            began = time.monotonic()
            result = stage.work()
            self._stamps.store(stage.name, key, result)
            self.console.say(f"{label}: done in {time.monotonic() - began:.0f} s")
            results[stage.name] = result
        return results

    def _makers(self) -> list[Callable[[], Stage]]:
        """Stages are made one after the other: each depends on the files that those before it left."""
        first: list[Callable[[], Stage]] = []
        if self.recipe.trains:
            first = [self._float, *([self._prune] if self.recipe.prune else []), self._quantize]
        elif self.recipe.prune:
            first = [self._prune_at_once]
        return [*first, self._generate, self._build, self._flash, self._check]

    # files, in the order of the road

    @property
    def _pruned(self) -> Path:
        return self.folder / f"pruned{self.recipe.model.suffix}" if self.recipe.prune else self.recipe.model

    @property
    def _int8(self) -> Path:
        return self.folder / "int8.tflite" if self.recipe.trains else self._pruned

    @property
    def _project(self) -> Path:
        return self.folder / "firmware"

    def _dataset(self, spec: str) -> Dataset:
        """A data set, loaded once."""
        if spec not in self._data:
            self._data[spec] = load_dataset(spec, base=self.base)
        return self._data[spec]

    def _training_data(self) -> str:
        assert self.recipe.data is not None, "read_recipe() demands it of a .keras model"
        return self.recipe.data

    # stages

    def _float(self) -> Stage:
        """The model as it came, scored on the test data."""
        model, test = self.recipe.model, self.recipe.test
        depends = {"model": file_hash(model), "test": data_hash(test, self.base), "samples": self.recipe.check.samples}

        def work() -> Result:
            return self._score_keras(model)

        return Stage("float", depends, (), work)

    def _score_keras(self, path: Path) -> Result:
        from mcuprune.sparsity import load_model
        from mcuprune.sparsity.evaluate import evaluate

        data = self._dataset(self.recipe.test).head(self.recipe.check.samples)
        return asdict(evaluate(load_model(path), data.x, data.labels(), data.source))

    def _prune(self) -> Stage:
        options = self.recipe.prune
        assert options is not None
        data = self._training_data()
        depends = {
            "model": file_hash(self.recipe.model),
            "data": data_hash(data, self.base),
            "test": data_hash(self.recipe.test, self.base),
            "samples": self.recipe.check.samples,
            "options": asdict(options),
        }

        def work() -> Result:
            from mcuprune.sparsity import load_model, prune, save_model, shrink_channels

            model, samples = load_model(self.recipe.model), self._dataset(data)
            with self.console.training(options.epochs) as progress:
                result = prune(
                    model,
                    samples.x,
                    samples.labels(),
                    samples.xv,
                    samples.yv,
                    sparsity=options.sparsity,
                    pattern=options.parsed_pattern,
                    rules=options.rules,
                    budget=options.parsed_budget,
                    options=options.training,
                    progress=progress,
                    source=self.recipe.model.name,
                    data_source=samples.source,
                )
            shrunk: Result = {}
            if options.shrink:
                model, report = shrink_channels(model)
                shrunk["shrink"] = report.to_json()
            save_model(model, self._pruned)
            layers = [asdict(layer) for layer in result.layers]
            return {"layers": layers, **shrunk, "test": self._score_keras(self._pruned)}

        return Stage("prune", depends, (self._pruned,), work)

    def _prune_at_once(self) -> Stage:
        options, model = self.recipe.prune, self.recipe.model
        assert options is not None
        budget = options.parsed_budget
        assert budget != "sensitivity", "read_recipe() refuses it"

        def work() -> Result:
            pruned = prune_one_shot(
                model.read_bytes(),
                model.name,
                sparsity=options.sparsity,
                pattern=options.parsed_pattern,
                rules=options.rules,
                budget=budget,
            )
            write_file_atomic(self._pruned, pruned.content)
            return {"layers": [asdict(layer) for layer in pruned.layers]}

        return Stage("prune", {"model": file_hash(model), "options": asdict(options)}, (self._pruned,), work)

    def _quantize(self) -> Stage:
        options, data = self.recipe.quantize, self._training_data()
        seed = self.recipe.prune.seed if self.recipe.prune else 1  # the samples held out there are held out here, too
        depends = {
            "model": file_hash(self._pruned),
            "data": data_hash(data, self.base),
            "options": asdict(options),
            "seed": seed,
        }

        def work() -> Result:
            from mcuprune.quantization.ptq import quantize_file

            training = options.training(seed)
            if training is not None:
                return self._train_for_int8(data, training, options.io)
            result = quantize_file(
                self._pruned, self._dataset(data), self._int8, samples=options.samples, io=options.io, seed=seed
            )
            return {**result.to_json(), **_weights(self._int8)}

        return Stage("quantize", depends, (self._int8,), work)

    def _train_for_int8(self, data: str, training: QatOptions, io: str) -> Result:
        """Quantization-aware training, and its int8 file."""
        from mcuprune.quantization import qat
        from mcuprune.sparsity import load_model

        samples = self._dataset(data)
        with self.console.training(training.epochs) as progress:
            result = qat(
                load_model(self._pruned),
                samples.x,
                samples.labels(),
                samples.xv,
                samples.yv,
                options=training,
                progress=progress,
                int8_io=io == "int8",
                source=self._pruned.name,
                data_source=samples.source,
            )
        write_file_atomic(self._int8, result.content)
        return {**result.quantized.to_json(), **_weights(self._int8), "training": result.to_json()}

    def _generate(self) -> Stage:
        options = self.recipe.generate
        depends = {"model": file_hash(self._int8), "board": file_hash(self.board.file), "options": asdict(options)}

        def work() -> Result:
            made = generate(
                self._int8,
                self.board,
                name=self.recipe.name,
                optimize=options.optimize,
                max_flash=options.max_flash,
                max_ram=options.max_ram,
                encodings=options.encodings,
                passes=tuple(PASSES) if options.passes else (),
                strips=options.strips,
                signature=options.signature,
            )
            write_project(made.files, self._project)
            totals: Result = json.loads(made.files["mcuprune.json"])["totals"]
            return totals

        return Stage("generate", depends, (self._project / "mcuprune.json",), work)

    def _opened(self) -> Folder:
        return open_folder(self._project)

    def _build(self) -> Stage:
        folder = self._opened()
        depends = {p.relative_to(self._project).as_posix(): file_hash(p) for p in self._sources()}

        def work() -> Result:
            compile_folder(folder)
            sizes = measure(folder)
            return {
                "build_id": sizes.build_id,
                "weight_flash_bytes": sizes.weight_flash_bytes,
                "flash_bytes": sizes.flash_bytes,
                "ram_bytes": sizes.ram_bytes,
                "arena_bytes": sizes.arena_bytes,
            }

        return Stage("build", depends, (folder.elf,), work)

    def _sources(self) -> list[Path]:
        """What the image is built from: all but the folders build*/."""
        files = (p for p in self._project.rglob("*") if p.is_file())
        return sorted(p for p in files if not p.relative_to(self._project).parts[0].startswith("build"))

    def _flash(self) -> Stage:
        folder = self._opened()
        stored, image = stored_image(self.board.name, self.port), file_hash(folder.elf)
        if not stored.is_file() or file_hash(stored) != image:
            self._stamps.drop("flash")  # somebody flashed something else since

        def work() -> Result:
            with self.console.progress("flashing", 2 * flash_bytes(folder)) as update:
                done = flash(folder, self.port, progress=update)
            return {"port": done.port, "build_id": done.hello.build_id.hex(), "image_bytes": done.image_bytes}

        return Stage("flash", {"image": image, "port": self.port}, (), work)

    def _check(self) -> Stage:
        folder, options, test = self._opened(), self.recipe.check, self.recipe.test
        depends = {
            "image": file_hash(folder.elf),
            "port": self.port,
            "test": data_hash(test, self.base),
            "samples": options.samples,
            "min_accuracy": options.min_accuracy,
        }

        def work() -> Result:
            data = self._dataset(test)
            total = min(len(data), options.samples or len(data))
            with self.console.progress(f"checking on {self.board.name}", total) as update:
                result = check(
                    folder.graph(),
                    folder.model_path,
                    board_opener(folder, self.port),
                    data,
                    samples=options.samples,
                    streamed=folder.streamed,
                    options=SessionOptions(build_id=image_build_id(folder.elf)),
                    progress=lambda done, _: update(done),
                )
            return {**result.to_json(), "faults": list(result.faults(options.min_accuracy))}

        return Stage("check", depends, (), work)


def _weights(model: Path) -> Result:
    """Bytes of a model's int8 weights, and the share of them that is zero."""
    tensors = [t.data for t in import_tflite(model).tensors if t.data is not None and t.data.dtype == np.int8]
    size = sum(data.size for data in tensors)
    return {"weight_bytes": size, "sparsity": 1 - sum(int(np.count_nonzero(data)) for data in tensors) / max(size, 1)}
