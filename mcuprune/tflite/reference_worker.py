"""Child process that runs LiteRT's reference kernels: `python -m mcuprune.tflite.reference_worker`.

It reads requests from stdin and answers on stdout, one frame each way (see wire.py), and ends at the end of stdin. A
model on which LiteRT crashes takes only this process down.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from mcuprune.tflite.wire import Frame, read_frame, write_frame

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the parent ends; elsewhere the end of stdin does it."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


class Session:
    """One loaded model: `results` are the tensors that layers are, in order, `kept` the channels (last
    dimension) of each that count; None: all. `subgraph` is what runs."""

    def __init__(self, content: bytes, results: list[int], kept: list[list[int] | None], subgraph: int) -> None:
        self.content, self.subgraph = content, subgraph
        self.results = list(zip(results, kept, strict=True))
        self._open()
        kinds = {op["op_name"] for op in self.interpreter._get_ops_details()}
        self.variables = bool(kinds & {"SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM"})
        beside = self.variables and self.subgraphs > 1
        self.anew = beside or subgraph > 0 or bool(kinds & {"VAR_HANDLE", "CALL_ONCE"})
        self.used = False

    def _open(self) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        from ai_edge_litert.schema_py_generated import Model

        self.interpreter = Interpreter(
            model_content=self.content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
            num_threads=1,
        )
        self.wrapper = self.interpreter._interpreter  # its methods alone take a subgraph
        self.wrapper.AllocateTensors(self.subgraph)
        model = Model.GetRootAs(self.content, 0)
        self.subgraphs = model.SubgraphsLength()
        function = model.Subgraphs(self.subgraph)
        self.inputs = [function.Inputs(i) for i in range(function.InputsLength())]
        self.outputs = [function.Outputs(i) for i in range(function.OutputsLength())]

    def _reset(self) -> None:
        """Forget earlier runs. A reset of LiteRT's leaves variables behind handles as they are, and wants every
        subgraph allocated: such models are loaded anew."""
        if self.used and self.anew:
            self._open()
        elif self.used and self.variables:
            self.interpreter.reset_all_variables()

    def run(self, frame: Frame) -> Frame:
        """Run once; the frame's `want` chooses what comes back: outputs, layers, crcs; `reset`: anew."""
        if frame.header["reset"]:
            self._reset()
        for index, value in zip(self.inputs, frame.arrays, strict=True):
            self.wrapper.SetTensor(index, value, self.subgraph)
        self.wrapper.Invoke(self.subgraph)
        self.used = True
        wanted: list[str] = frame.header["want"]
        arrays: list[np.ndarray[Any, Any]] = []
        if "outputs" in wanted:
            arrays += [self.wrapper.GetTensor(i, self.subgraph) for i in self.outputs]
        if "layers" in wanted:
            arrays += self._layers()
        crcs = [zlib.crc32(array.tobytes()) for array in self._layers()] if "crcs" in wanted else []
        return Frame({"crcs": crcs}, arrays)

    def _layers(self) -> Iterator[np.ndarray[Any, Any]]:
        for index, kept in self.results:
            array = self.wrapper.GetTensor(index, self.subgraph)
            yield array if kept is None else array[..., kept]


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer requests until the end of the input; a Python exception is answered by its text."""
    session: Session | None = None
    while (frame := read_frame(source)) is not None:
        try:
            if frame.header["do"] == "load":
                header = frame.header
                session = Session(frame.arrays[0].tobytes(), header["results"], header["kept"], header["subgraph"])
                answer = Frame({"loaded": True}, [])
            else:
                assert session is not None
                answer = session.run(frame)
        except (RuntimeError, ValueError) as error:
            answer = Frame({"error": str(error)}, [])
        write_frame(sink, answer)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(int(sys.argv[1]))
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what LiteRT prints must not mix with the frames
    serve(source, sink)


if __name__ == "__main__":
    main()
