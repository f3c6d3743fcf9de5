"""What a kernel is: family x encoding x instruction-set level -> C symbol, struct, source, packing, workspace.

`family` is the word after mp_ in a kernel's name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcuprune.encodings import Array, Encoding
from mcuprune.kernels.params import Geometry, LayerParams, Value


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A layer as one kernel reads it.

    fields: members of the kernel's C struct, without the pointers to `arrays`.
    arrays: constants in flash; `member` is a dotted path into `fields`.
    entries: what a walk along the weights meets: weights, nonzeros, blocks, fillers included.
    mask_bytes: of a bitmap.
    inline_bytes: of parameters of rows (bias, multiplier, shift) that lie between weights in one array.
    """

    fields: Mapping[str, Value]
    arrays: tuple[Array, ...]
    entries: int = 0
    mask_bytes: int = 0
    inline_bytes: int = 0

    @property
    def flash_bytes(self) -> int:
        """Values, indices, row tables and parameters in flash, without the struct that points to them."""
        return sum(array.flash_bytes for array in self.arrays)

    @property
    def table_bytes(self) -> int:
        """flash_bytes with what the struct needs for pointers and sizes."""
        return self.flash_bytes + 4 * len(self.arrays)

    @property
    def stream_bytes(self) -> int:
        """Values and indices alone: flash_bytes without bias, multiplier and shift of the rows."""
        rows = sum(array.flash_bytes for array in self.arrays if _of_rows(array))
        return self.flash_bytes - rows - self.inline_bytes


def _of_rows(array: Array) -> bool:
    """Whether an array holds what each row needs beside its weights."""
    return array.ctype.startswith("mp_row") or array.member.rpartition(".")[2] in ("bias", "mult", "shift", "scale")


def pack_plain(params: LayerParams, encoding: Encoding | None) -> Packed:
    """The layer's own fields and arrays, and its rows in the encoding's arrays as the member `weights`.

    Raises:
        EncodingError: the encoding cannot hold these rows.
    """
    if encoding is None or params.rows is None:
        return Packed(params.fields, params.arrays)
    encoded = encoding.encode(params.rows)
    names = tuple(array.member for array in encoded.arrays)
    own = tuple(Array(f"weights.{array.member}", array.ctype, array.data) for array in encoded.arrays)
    stored = next(name for name in ("weights", "nz", "pairs", "gap") if name in names)
    entries = encoded.array(stored).size // (2 if stored == "pairs" else 1)
    mask_bytes = encoded.array("mask").size if "mask" in names else 0
    fields = {**params.fields, "weights": dict.fromkeys(names, "") | dict(encoded.scalars)}
    return Packed(fields, (*params.arrays, *own), int(entries), int(mask_bytes))


def no_workspace(geometry: Geometry) -> int:
    """For kernels whose C function has no workspace argument."""
    return 0


def no_obstacle(params: LayerParams) -> str | None:
    """For kernels that serve every layer of their family."""
    return None


def never(params: LayerParams) -> bool:
    """For kernels whose output lies apart from their input."""
    return False


def elementwise(params: LayerParams) -> bool:
    """Element i of the output depends on element i of an input of its type and size, and on none before."""
    return True


def halving(pointwise: int, gathered: int) -> Callable[[Geometry], tuple[int, int]]:
    """Walks of a kernel that does what is left behind the last whole tile in halves of it.

    Args:
        pointwise, gathered: positions of a tile, powers of two, of a pointwise layer and of one whose columns are
            gathered.
    """

    def walks(geometry: Geometry) -> tuple[int, int]:
        tile = pointwise if geometry.pointwise else gathered
        count, left = divmod(geometry.positions, tile)
        while left:
            tile //= 2
            count, left = count + left // tile, left % tile
        return count, 0

    return walks


def each_position(geometry: Geometry) -> tuple[int, int]:
    """Walks of a kernel that takes one position at a time."""
    return geometry.positions, 0


def tiles(size: int, short: int) -> Callable[[Geometry], tuple[int, int]]:
    """Walks of a kernel whose last tile is cheap with `short` positions or fewer, and a whole one with more."""

    def walks(geometry: Geometry) -> tuple[int, int]:
        count, left = divmod(geometry.positions, size)
        return count + (left > short), int(0 < left <= short)

    return walks


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel.

    Attributes:
        family: which layers it serves.
        encoding: how its weights lie in flash, as a name of ENCODINGS or the word that several share ("block"); "" for
            families without encoded weights.
        isa: instruction-set level.
        workspace: bytes of scratch for a geometry; mirrors the C function of the same kernel.
        obstacle: why the kernel cannot give this layer's bytes; None where it can. Proved from the real weights.
        pack: lays out weights and parameters the kernel's own way. Only where arrays do not depend on the number of
            output rows can a layer run some rows at a time.
        walks: walks along the weights that a layer takes: whole ones, and short ones over few positions.
        in_place: whether the output may start where an input does that is not smaller.
        struct: C type of its parameters; "" for mp_<family>_<encoding>.
        takes_list: whether the C function takes its inputs as one array of pointers, for any number of them.
    """

    family: str
    encoding: str
    isa: str
    workspace: Callable[[Geometry], int] = no_workspace
    obstacle: Callable[[LayerParams], str | None] = no_obstacle
    pack: Callable[[LayerParams, Encoding | None], Packed] = pack_plain
    walks: Callable[[Geometry], tuple[int, int]] = each_position
    in_place: Callable[[LayerParams], bool] = never
    struct: str = ""
    takes_list: bool = False

    def serves(self, encoding: Encoding) -> bool:
        """Whether it reads weights that lie so."""
        return self.encoding in (encoding.name, encoding.c_name)

    @property
    def symbol(self) -> str:
        return "_".join(part for part in ("mp", self.family, self.encoding, self.isa) if part)

    @property
    def ctype(self) -> str:
        """C type of the kernel's parameters."""
        return self.struct or "_".join(part for part in ("mp", self.family, self.encoding) if part)

    @property
    def takes_workspace(self) -> bool:
        """Whether the C function has a workspace argument."""
        return self.workspace is not no_workspace

    @property
    def source(self) -> str:
        """Path below firmware/."""
        return f"kernels/{self.symbol.removeprefix('mp_')}.c"
