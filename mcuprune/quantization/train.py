"""Quantization-aware training of a classifier as a whole, with the float start model as teacher."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from mcuprune.data import Array
from mcuprune.errors import TrainingError
from mcuprune.quantization.apply import quantize_model
from mcuprune.quantization.convert import calibrate, check_generated, convert_qat, quantized_layers
from mcuprune.quantization.options import QatOptions
from mcuprune.quantization.ptq import Quantized
from mcuprune.sparsity.distill import Student
from mcuprune.sparsity.files import check_model
from mcuprune.sparsity.runtime import make_repeatable
from mcuprune.sparsity.samples import TrainingData, epoch_order
from mcuprune.sparsity.training import ClassifierTraining, EpochReport, Progress, classifier_data

CALIBRATION_SAMPLES = 500
"""Training samples that the ranges start from."""


@dataclass(frozen=True, slots=True, eq=False)
class QatResult:
    """model: as it was trained, with fake quantization; quantized: its int8 file.

    Accuracies are on the validation part: of the float start model, and of the trained model as int8 will compute.
    history: sparsity is the share of zeros among all kernels. notes: what was done to the data.
    """

    model: Any
    quantized: Quantized
    val_before: float
    val_after: float
    val_samples: int
    history: tuple[EpochReport, ...]
    steps: int
    seconds: float
    notes: tuple[str, ...]

    @property
    def content(self) -> bytes:
        """The `.tflite` file."""
        return self.quantized.content

    def to_json(self) -> dict[str, Any]:
        """What the training gave, without the model."""
        return {
            "val_accuracy": {"before": self.val_before, "after": self.val_after},
            "val_samples": self.val_samples,
            "epochs": len(self.history),
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "history": [asdict(report) for report in self.history],
        }


def qat(
    model: Any,
    x: Array,
    y: Array,
    xv: Array | None = None,
    yv: Array | None = None,
    *,
    options: QatOptions | None = None,
    progress: Progress | None = None,
    int8_io: bool = True,
    source: str = "",
    data_source: str = "x",
) -> QatResult:
    """Train a float classifier as int8 will compute it, and convert it. The model stays as it was.

    Zeros of its kernels stay exactly zero; the statistics of its batch norms stay as they are.

    Args:
        model: a built Keras 3 model of the layers of quantize_model(), one input, one output (batch, classes).
        x: (n, ...) float or uint8; y: int (n,). Without xv and yv a tenth is held out.
        int8_io: int8 input and output of the file; else float32.
        source, data_source: names of model and data, for errors.
    Raises:
        ModelError: the model is not such a classifier, or a layer is not supported.
        DataError: the data do not fit the model.
        TrainingError: the loss is not a number, a zero did not stay, or the conversion failed.
    """
    source = source or str(getattr(model, "name", "model"))
    check_model(model, source)
    check_generated(model)
    options = options or QatOptions()
    trained = quantize_model(model)
    data = classifier_data(model, x, y, xv, yv, options.seed, source, data_source)
    make_repeatable(options.seed)
    run = _Qat(model, trained, data, options, progress or Progress())
    history = tuple(run.epoch(epoch) for epoch in range(options.epochs))
    run.progress.on_phase("converting")
    return QatResult(
        model=trained,
        quantized=convert_qat(trained, int8_io=int8_io, source=source),
        val_before=run.before,
        val_after=history[-1].val_accuracy,
        val_samples=len(data.yv),
        history=history,
        steps=run.steps,
        seconds=run.seconds(),
        notes=data.notes,
    )


class _Qat(ClassifierTraining):
    """The training of qat(): of another model than the one that answered, whose zeros stay."""

    def __init__(self, model: Any, trained: Any, data: TrainingData, options: QatOptions, progress: Progress) -> None:
        super().__init__(model, data, options, progress, "the float model's answers")
        self.layers = quantized_layers(trained)
        self.zeros = [keras.ops.convert_to_numpy(layer.layer.kernel) == 0 for layer in self.layers]
        size = sum(zeros.size for zeros in self.zeros)
        self._sparsity: float = sum(int(zeros.sum()) for zeros in self.zeros) / size
        calibrate(trained, data.x[epoch_order(len(data.x), options.seed, -1)[:CALIBRATION_SAMPLES]])
        self.compile(Student(trained), jit_compile=False)
        progress.on_start(self.steps)

    def reached(self) -> float:
        return self._sparsity

    def after_epoch(self, epoch: int) -> None:
        """The zeros that the model came with are zeros still.

        Raises:
            TrainingError: one is not.
        """
        for layer, zeros in zip(self.layers, self.zeros, strict=True):
            lost = int(np.count_nonzero(keras.ops.convert_to_numpy(layer.layer.kernel)[zeros]))
            if lost:
                raise TrainingError(
                    f"{lost} of {int(zeros.sum())} zeros did not stay zero",
                    where=f"layer '{layer.name}'",
                    hint="something assigned weights beside the optimizer",
                )
