"""`profile`: what each layer of a built folder costs, counted in QEMU or measured by a board's cycle counter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from mcuprune.build.folder import Folder
from mcuprune.build.sizes import measure as measure_sizes
from mcuprune.errors import BoardError, UsageError
from mcuprune.link.client import LinkClient
from mcuprune.link.protocol import Counter
from mcuprune.link.transport import Transport
from mcuprune.profile import cortex_m4
from mcuprune.profile.counting import count_layers, require_build
from mcuprune.profile.image import Image
from mcuprune.profile.plugin import Counts
from mcuprune.profile.result import MEASURED, MODELLED, FunctionProfile, LayerProfile, Memory, Profile

_REPEATS = 3  # of a measured inference: the least counts, an interrupt adds


def profile_emulated(folder: Folder, input_bytes: bytes) -> Profile:
    """Count one inference in QEMU; the image needs no flashing.

    Raises:
        UsageError: the folder is for the host.
        BuildError, BoardError, LinkError: see count_layers().
    """
    if folder.board.runner.kind != "qemu":
        raise UsageError(
            f"{folder.board.name} has no instructions that could be counted",
            where=str(folder.path),
            hint="generate for a QEMU board, such as mps2-an386, or for a board of yours and name its --port",
        )
    image = Image(folder)
    counts, _ = count_layers(folder, image, input_bytes)
    cycles = None
    if folder.board.core.name == cortex_m4.CORE:
        cycles = [cortex_m4.cycles_by_address(image.instruction, layer) for layer in counts]
    return _profile(
        folder,
        MODELLED if cycles is not None else "",
        [sum(layer.values()) for layer in counts],
        [sum(layer.values()) for layer in cycles] if cycles is not None else None,
        _functions(image, counts, cycles),
    )


def profile_measured(folder: Folder, opener: Callable[[], Transport], input_bytes: bytes) -> Profile:
    """Measure on a running board: an inference up to each layer; the difference of two is a layer.

    Raises:
        BoardError: it has no cycle counter, or runs another image.
        LinkError: it cannot be spoken to.
    """
    ticks = [0]
    with LinkClient(opener()) as client:
        board = client.hello()
        require_build(client, folder)
        if board.counter != Counter.CYCLES:
            raise BoardError(
                f"the board has no running cycle counter, it counts {board.counter.name.lower()}",
                where=client.transport.name,
                hint="the DWT of a Cortex-M3 and up counts cycles; in QEMU leave --port out",
            )
        for step in range(len(folder.manifest["layers"])):
            ticks.append(min(client.infer(input_bytes, stop_layer=step).ticks for _ in range(_REPEATS)))
    cycles = [max(0, b - a) for a, b in pairwise(ticks)]
    return _profile(folder, MEASURED, None, cycles, ())


def _profile(
    folder: Folder,
    kind: str,
    instructions: Sequence[int] | None,
    cycles: Sequence[int] | None,
    functions: Sequence[FunctionProfile],
) -> Profile:
    sizes = measure_sizes(folder)
    layers = [
        LayerProfile(
            index=layer["index"],
            op=layer["op"],
            name=layer["name"],
            macs=layer["macs"],
            nnz_macs=_nnz_macs(layer),
            instructions=instructions[step] if instructions is not None else None,
            cycles=cycles[step] if cycles is not None else None,
            encoding=layer["encoding"],
            kernel=layer["kernel"],
            flash_bytes=sizes.layers[layer["name"]],
            workspace_bytes=layer["workspace_bytes"],
            nnz=layer["nnz"],
            stream_bytes=layer["stream_bytes"] or 0,
            bound_bytes=layer["bound_bytes"] or 0,
        )
        for step, layer in enumerate(folder.manifest["layers"])
    ]
    memory = Memory(
        sizes.weight_flash_bytes, sizes.model_code_bytes, sizes.flash_bytes, sizes.ram_bytes, sizes.arena_bytes
    )
    return Profile(folder.board.name, folder.board.core.name, kind, tuple(layers), tuple(functions), memory)


def _nnz_macs(layer: dict[str, Any]) -> int:
    """Every weight takes part in as many multiplications as any other of its layer."""
    return layer["macs"] * layer["nnz"] // layer["weights"] if layer["weights"] else int(layer["macs"])


def _functions(image: Image, counts: Sequence[Counts], cycles: Sequence[Counts] | None) -> list[FunctionProfile]:
    """Functions by cost, the dearest first."""

    def by_name(layers: Sequence[Counts]) -> dict[str, int]:
        sums: dict[str, int] = {}
        for layer in layers:
            for address, value in layer.items():
                function = image.function(address)
                name = function.name if function is not None else "(library)"
                sums[name] = sums.get(name, 0) + value
        return sums

    executed = by_name(counts)
    modelled = by_name(cycles) if cycles is not None else None
    found = [
        FunctionProfile(name, count, modelled[name] if modelled is not None else None)
        for name, count in executed.items()
    ]
    return sorted(found, key=lambda f: (-(f.cycles if f.cycles is not None else f.instructions), f.name))
