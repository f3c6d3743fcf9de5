"""A user's copy of a data set, as a folder or as the archive that it was published in; and the way to get one."""

from __future__ import annotations

import hashlib
import http.client
import os
import tarfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path

from mcuprune.errors import DataError

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""progress(label, total) gives a context whose value is told how much is done."""

_PIECE = 1 << 20
_MEGA = 1_000_000
_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Download:
    """A published archive: where it lies, how many bytes it has, and their SHA-256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def read_copy(source: Path, wanted: Callable[[str], bool], progress: Progress) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the wanted files, names with `/` from the copy's root, in the order in which they lie.

    Args:
        source: a folder, or a .tar, .tar.gz or .tgz.
    Raises:
        DataError: neither, or the archive is broken.
    """
    if source.is_dir():
        yield from _read_folder(source, wanted, progress)
    elif source.is_file():
        yield from _read_archive(source, wanted, progress)
    else:
        raise DataError("there is no such folder or archive", where=str(source), hint="name the unpacked folder")


def _read_folder(source: Path, wanted: Callable[[str], bool], progress: Progress) -> Iterator[tuple[str, bytes]]:
    names = []
    for folder, folders, files in os.walk(source):
        folders.sort()
        below = Path(folder).relative_to(source)
        names += [name for file in sorted(files) if wanted(name := (below / file).as_posix())]
    with progress("reading files", len(names)) as update:
        for i, name in enumerate(names):
            yield name, (source / name).read_bytes()
            update(i + 1)


def _read_archive(source: Path, wanted: Callable[[str], bool], progress: Progress) -> Iterator[tuple[str, bytes]]:
    try:
        with (
            source.open("rb") as stream,
            progress("reading MB", source.stat().st_size // _MEGA) as update,
            tarfile.open(fileobj=stream, mode="r|*") as archive,
        ):
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and wanted(name):
                    file = archive.extractfile(member)
                    assert file is not None
                    yield name, file.read()
                update(stream.tell() // _MEGA)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise DataError(
            f"the archive cannot be read: {error}", where=str(source), hint="is it whole? copy or download it again"
        ) from None


def download(what: Download, target: Path, progress: Progress) -> None:
    """Fetch an archive to a file, whole and with the right checksum or not at all.

    Raises:
        DataError: the network fails, or the bytes are others than those published.
    """
    scratch = target.with_name(f".{target.name}.part")
    hint = f"fetch {what.url} by other means, to {target}"
    digest, done = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(what.url, timeout=_TIMEOUT_S) as answer,
            scratch.open("wb") as sink,
            progress("downloading MB", what.size // _MEGA) as update,
        ):
            while piece := answer.read(_PIECE):
                sink.write(piece)
                digest.update(piece)
                done += len(piece)
                update(done // _MEGA)
        if done != what.size or digest.hexdigest() != what.sha256:
            raise DataError(
                f"{done} bytes with SHA-256 {digest.hexdigest()[:16]}... came, {what.size} bytes with "
                f"{what.sha256[:16]}... were published",
                where=what.url,
                hint=hint,
            )
        scratch.replace(target)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"the download failed: {error}", where=what.url, hint=hint) from None
    finally:
        with suppress(OSError):
            scratch.unlink()
