"""Images in another size."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as s

from tests.grid.cases import Case
from tests.grid.families.moves import ints, one

SIZES = [
    ((4, 6), (7, 3)),
    ((4, 6), (8, 12)),
    ((5, 3), (1, 1)),
    ((1, 1), (3, 2)),
    ((3, 8), (6, 4)),
    ((2, 5), (2, 5)),
    ((7, 2), (23, 9)),
    ((30, 2), (7, 40)),
]
MODES = ((False, False), (True, False), (False, True), (True, True))


def cases() -> Iterator[Case]:
    """Larger and smaller images, by every rule of where pixels lie."""
    for (number, (size, wanted)), (corners, centers) in itertools.product(enumerate(SIZES), MODES):
        for channels in (1, 5):
            shape, out = (1, *size, channels), (1, *wanted, channels)
            kinds: list[tuple[str, Any]] = [("RESIZE_NEAREST_NEIGHBOR", s.ResizeNearestNeighborOptionsT())]
            if not (corners and centers):  # the reference refuses both for bilinear
                kinds.append(("RESIZE_BILINEAR", s.ResizeBilinearOptionsT()))
            for kind, options in kinds:
                options.alignCorners, options.halfPixelCenters = corners, centers
                name = f"{kind.lower()}_{number}_{corners}_{centers}_{channels}"
                yield one(name, kind, shape, out, options, ints(wanted))
        options = s.ResizeNearestNeighborOptionsT()
        options.alignCorners, options.halfPixelCenters = corners, centers
        name = f"resize_nearest_float_{number}_{corners}_{centers}"
        yield one(
            name, "RESIZE_NEAREST_NEIGHBOR", (1, *size, 2), (1, *wanted, 2), options, ints(wanted), dtype=np.float32
        )
