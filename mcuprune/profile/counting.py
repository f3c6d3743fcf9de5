"""One inference in QEMU under the counting plugin: executions by address and layer.

Only the model's own code is counted: its invoke, its kernels, and the library functions they call. The firmware around
it (observer, link, driver, start-up) runs in between, by the trace's calls and by interrupts, and is left out by its
addresses: an interrupt changes nothing, and two runs are equal. What the trace costs inside invoke itself stays in the
counts: passing three arguments and looking at the answer, about six instructions a layer.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcuprune.build.folder import Folder
from mcuprune.errors import BoardError
from mcuprune.flash.power import image_build_id
from mcuprune.flash.qemu import QemuProcess, QemuTransport
from mcuprune.link.client import InferResult, LinkClient
from mcuprune.profile.image import Image
from mcuprune.profile.plugin import Counts, Window, build_plugin, plugin_api, plugin_option, qemu_version, read_phases


def count_layers(folder: Folder, image: Image, input_bytes: bytes) -> tuple[list[Counts], InferResult]:
    """Run the folder's image in QEMU, which needs no flashing, on one input; counts of each layer, and the answer.

    A layer begins where the layer before it ended, the first at the entry of the model's invoke. Layers that run by
    turns end with each of their calls.

    Raises:
        ToolMissingError: QEMU or, for the first time, a compiler for this machine is missing.
        BoardError: QEMU fails, or takes no plugins.
    """
    start, size = image.code
    window = Window(start, size, image.address(f"{folder.name}_invoke"), image.address("mp_layer_done"))
    version = qemu_version()
    plugin = build_plugin(plugin_api(version))
    with tempfile.TemporaryDirectory(prefix="mcuprune-count-") as scratch:
        counts = Path(scratch) / "counts"
        option = plugin_option(plugin, counts, window)
        try:
            with LinkClient(QemuTransport(QemuProcess(folder.board, image.path, option))) as client:
                client.hello()
                require_build(client, folder)
                result = client.infer(input_bytes)
                phases = read_phases(counts.read_text())
        except BoardError as fault:
            if "plugin" not in fault.what:
                raise
            raise BoardError(
                f"QEMU {version[0]}.{version[1]} does not load the counting plugin: {fault.what}",
                where=fault.where,
                hint="a QEMU that was built with plugins is needed, such as Debian's; MCUPRUNE_QEMU names another one",
            ) from fault
    order = layers_by_phase(folder.manifest)
    if len(phases) != len(order):
        raise BoardError(
            f"layers ended {len(phases)} times during an inference of {len(order)} parts",
            where=str(image.path),
            hint=f"mcuprune build {folder.path}",
        )
    layers = [Counter[int]() for _ in folder.manifest["layers"]]
    for layer, phase in zip(order, phases, strict=True):
        layers[layer].update(own_code(image, phase))
    return [dict(layer) for layer in layers], result


def layers_by_phase(manifest: Mapping[str, Any]) -> list[int]:
    """The layer of each phase: one for each layer, and before it one for each call of layers that run by turns."""
    calls = {strips["layer"]: strips["calls"] for strips in manifest["strips"]}
    return [layer for step in range(len(manifest["layers"])) for layer in (*calls.get(step, ()), step)]


def require_build(client: LinkClient, folder: Folder) -> None:
    """Refuse a board that runs another image.

    Raises:
        BoardError: it does.
    """
    want = image_build_id(folder.elf)
    if client.board.build_id != want:
        raise BoardError(
            f"the board runs another build: {client.board.build_id.hex()[:12]}, not {want.hex()[:12]}",
            where=client.transport.name,
            hint=f"mcuprune flash {folder.path}",
        )


def own_code(image: Image, counts: Counts) -> Counts:
    """Counts without the firmware around the model."""
    own = {}
    for address, count in counts.items():
        function = image.function(address)
        if function is None or not function.observer:
            own[address] = count
    return own
