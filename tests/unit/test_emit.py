"""Generated folders: equal input gives equal bytes, and the C is the C that was looked at."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_graph

from mcuprune.boards import load_board
from mcuprune.build.folder import open_folder
from mcuprune.emit.project import Project, project_files, write_project
from mcuprune.errors import BuildError, UsageError
from mcuprune.ir.graph import DType, Graph
from mcuprune.kernels.choose import choose
from mcuprune.kernels.lowering import lower
from mcuprune.plan.arena import plan_arena

SNAPSHOTS = Path(__file__).parent.parent / "snapshots"
MODEL = b"stands for a model file"


def tiny_project(board_name: str) -> Project:
    """The tiny model planned for a board."""
    graph = replace(tiny_graph(), sha256=hashlib.sha256(MODEL).hexdigest())
    board = load_board(board_name)
    choices = tuple(choose(op, lower(graph, op), board.core) for op in graph.ops)
    plan = plan_arena(graph, {step: choice.workspace_bytes for step, choice in enumerate(choices)})
    return Project("tiny", graph, MODEL, board, choices, plan, "balanced")


def sparse_project() -> Project:
    """The tiny model for a Cortex-M4 with 70% of its weights zero, each layer in the encoding that is named here."""
    graph = sparse_graph(replace(tiny_graph(), sha256=hashlib.sha256(MODEL).hexdigest()))
    board = load_board("mps2-an386")
    encodings = {"conv_1": "gap", "ds_1_pw": "bitmap", "fc": "block2x1"}
    choices = tuple(choose(op, lower(graph, op), board.core, encodings.get(op.name)) for op in graph.ops)
    plan = plan_arena(graph, {step: choice.workspace_bytes for step, choice in enumerate(choices)})
    return Project("tiny", graph, MODEL, board, choices, plan, "speed")


def sparse_graph(graph: Graph) -> Graph:
    """70% of each layer's weights set to zero, by a seed."""
    rng = np.random.default_rng(7)
    tensors = [
        replace(t, data=np.where(rng.random(t.shape) < 0.7, 0, t.data).astype(np.int8))
        if t.data is not None and t.dtype is DType.INT8
        else t
        for t in graph.tensors
    ]
    return replace(graph, tensors=tuple(tensors))


def run_quietly(*commands: list[str], env: dict[str, str] | None = None) -> str:
    """Run commands that must neither fail nor warn; what the last one wrote."""
    output = ""
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})})
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "warning" not in output
    return output


def test_equal_input_gives_equal_bytes() -> None:
    """Two runs give the same files, without a date or a path of the machine."""
    first, second = project_files(tiny_project("host")), project_files(tiny_project("host"))
    assert first == second
    assert list(first) == sorted(first)
    text = b"\n".join(first.values())
    assert str(Path.home()).encode() not in text
    assert str(Path(__file__).parents[2]).encode() not in text


HOST_FILES = ("model/tiny.c", "model/tiny.h", "Makefile", "README.md", "mcuprune.json")
BOARD_FILES = ("model/tiny.c", "firmware/link.ld", "firmware/main.c", "CMakeLists.txt", "README.md")


@pytest.mark.parametrize(
    ("snapshots", "file"),
    [*(("tiny-host", file) for file in HOST_FILES), *(("sparse-mps2-an386", file) for file in BOARD_FILES)],
)
def test_generated_text_is_the_snapshot(snapshots: str, file: str) -> None:
    """A change of generated text is seen; MCUPRUNE_UPDATE_SNAPSHOTS=1 takes it over."""
    project = tiny_project("host") if snapshots == "tiny-host" else sparse_project()
    got = project_files(project)[file].decode()
    snapshot = SNAPSHOTS / snapshots / file.replace("/", "-")
    if os.environ.get("MCUPRUNE_UPDATE_SNAPSHOTS"):
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        snapshot.write_text(got)
    assert got == snapshot.read_text()


def test_manifest_lists_every_file() -> None:
    """The manifest names each generated file, itself too."""
    files = project_files(tiny_project("host"))
    assert json.loads(files["mcuprune.json"])["files"] == list(files)


def test_write_replaces_only_generated_folders(tmp_path: Path) -> None:
    """A generated folder is replaced whole with what was built in it; a folder of the user's own is kept."""
    files = project_files(tiny_project("host"))
    folder = tmp_path / "out"
    write_project({**files, "mcuprune/stale.c": b"", "mcuprune.json": _listing(files, "mcuprune/stale.c")}, folder)
    for built in ("build/tiny.elf", "build-cmake/a/b.o"):
        (folder / built).parent.mkdir(parents=True)
        (folder / built).write_text("built")
    write_project(files, folder)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == list(files)
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="was not generated by mcuprune"):
        write_project(files, own)
    assert (own / "thesis.txt").read_text() == "years of work"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "own"]


def _listing(files: dict[str, bytes], more: str) -> bytes:
    return json.dumps({**json.loads(files["mcuprune.json"]), "files": [*files, more]}).encode()


def test_added_files_are_never_deleted(tmp_path: Path) -> None:
    """A generated folder with files of the user's own is refused; three of them are named, links too."""
    files = project_files(tiny_project("host"))
    folder = tmp_path / "out"
    write_project(files, folder)
    for name in ("app.c", "model/notes.txt", "build"):
        (folder / name).write_text("mine")
    (folder / "zlink").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(UsageError, match=r"did not generate: app\.c, build, model/notes\.txt and 1 more\n"):
        write_project(files, folder)
    assert (folder / "model" / "notes.txt").read_text() == "mine"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder, a folder in a file, a loop of links: one usage error, and nothing changes."""
    files = project_files(tiny_project("host"))
    folder = tmp_path / "out"
    write_project(files, folder)
    (tmp_path / "loop").symlink_to("loop")
    for place in (folder / "Makefile" / "out", Path("/proc/nope"), tmp_path / "loop"):
        with pytest.raises(UsageError, match="cannot write"):
            write_project(files, place)
    for current, place in ((folder, Path()), (folder / "model", Path(".."))):
        monkeypatch.chdir(current)
        with pytest.raises(UsageError, match="holds the current folder"):
            write_project(files, place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loop", "out"]
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == list(files)


def test_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    """What a link points to is replaced, not the link."""
    files = project_files(tiny_project("host"))
    write_project(files, tmp_path / "out")
    (tmp_path / "link").symlink_to("out")
    write_project(files, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out" / "Makefile").is_file()


@pytest.mark.parametrize("place", ["out", "my café's/model out"])
@pytest.mark.parametrize("how", ["make", "cmake"])
def test_folder_builds_by_itself(tmp_path: Path, how: str, place: str) -> None:
    """The folder builds with make and with cmake, from any place, quietly; the path may hold anything."""
    folder = tmp_path / place
    write_project(project_files(tiny_project("host")), folder)
    scratch = folder.parent / "tmp"
    scratch.mkdir()
    commands = {
        "make": [["make", "-C", str(folder), "all", "model"]],
        "cmake": [
            ["cmake", "-S", str(folder), "-B", str(folder / "build-cmake")],
            ["cmake", "--build", str(folder / "build-cmake")],
        ],
    }
    run_quietly(*commands[how], env={"TMPDIR": str(scratch)})
    image = folder / {"make": "build/tiny.elf", "cmake": "build-cmake/tiny_firmware"}[how]
    assert str(tmp_path).encode() not in image.read_bytes()


def test_cross_build_where_the_path_holds_a_space(tmp_path: Path) -> None:
    """Sparse weights and the DSP kernel build for the board with make and with cmake, as their README says."""
    folder = tmp_path / "my café" / "out"
    write_project(project_files(sparse_project()), folder)
    toolchain = f"-DCMAKE_TOOLCHAIN_FILE={folder / 'toolchain.cmake'}"
    build = str(folder / "build-cmake")
    run_quietly(
        ["make", "-C", str(folder)], ["cmake", "-S", str(folder), "-B", build, toolchain], ["cmake", "--build", build]
    )
    for image in ("build/tiny.elf", "build-cmake/tiny_firmware.elf", "build-cmake/libtiny.a"):
        assert (folder / image).is_file()


MAIN = """
#include <stdio.h>
#include <string.h>
#include "tiny.h"

{arena} uint8_t arena[TINY_ARENA_BYTES];

int main(void)
{{
    if (tiny_init(arena, sizeof arena) != MP_OK) return 1;
    memset(tiny_input(arena), 1, TINY_INPUT_BYTES);
    if (tiny_model.invoke(arena) != MP_OK) return 2;
    int sum = 0;
    for (unsigned i = 0; i < TINY_OUTPUT_BYTES; i++) sum += tiny_output(arena)[i] + 128;
    return printf("%d\\n", sum) < 0;
}}
"""
PARENT = """
cmake_minimum_required(VERSION 3.16)
project(parent C)
add_executable(app main.c)
add_subdirectory(tiny)
target_link_libraries(app PRIVATE tiny)
get_directory_property(options COMPILE_OPTIONS)
message(STATUS "mine: '${options}' '${CMAKE_C_FLAGS_RELEASE}' '${CMAKE_BUILD_TYPE}'")
get_target_property(dirs tiny INTERFACE_INCLUDE_DIRECTORIES)
message(STATUS "dirs: ${dirs}")
"""


def probabilities_sum(output: str) -> None:
    """The four outputs are probabilities in 1/256."""
    assert abs(int(output) - 256) <= 4


def test_folder_is_a_subproject_of_cmake(tmp_path: Path) -> None:
    """A parent links the model alone: no firmware, no options and no folders that it did not ask for."""
    write_project(project_files(tiny_project("host")), tmp_path / "tiny")
    (tmp_path / "main.c").write_text(MAIN.format(arena="static _Alignas(16)"))
    (tmp_path / "CMakeLists.txt").write_text(PARENT)
    build = tmp_path / "b"
    told = run_quietly(["cmake", "-S", str(tmp_path), "-B", str(build)])
    assert "mine: '' '-O3 -DNDEBUG' ''" in told
    dirs = next(line for line in told.splitlines() if "dirs: " in line).partition("dirs: ")[2].split(";")
    names = [Path(d).relative_to(tmp_path / "tiny").as_posix() for d in dirs]
    assert names[-1] == "model"
    assert all(name.startswith("mcuprune/") for name in names[:-1])
    run_quietly(["cmake", "--build", str(build)])
    assert not list(build.rglob("tiny_firmware*"))
    probabilities_sum(run_quietly([str(build / "app")]))


@pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")
def test_library_links_to_cpp(tmp_path: Path) -> None:
    """The headers compile as C++ and the names are C's."""
    folder = tmp_path / "out"
    write_project(project_files(tiny_project("host")), folder)
    (tmp_path / "main.cpp").write_text(MAIN.format(arena="alignas(16) static"))
    dirs = [f"-I{d}" for d in (folder / "model", *(p for p in (folder / "mcuprune").iterdir() if p.is_dir()))]
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    library, app = str(folder / "build" / "libtiny.a"), str(tmp_path / "app")
    run_quietly(
        ["make", "-C", str(folder), "model"], ["g++", *flags, *dirs, str(tmp_path / "main.cpp"), library, "-o", app]
    )
    probabilities_sum(run_quietly([app]))


def test_werror_is_the_users_choice(tmp_path: Path) -> None:
    """WARN= on the command line or in the environment drops -Werror."""
    write_project(project_files(tiny_project("host")), tmp_path / "out")
    make = ["make", "-n", "-C", str(tmp_path / "out")]
    assert "-Werror" in run_quietly(make)
    assert "-Werror" not in run_quietly([*make, "WARN=-Wall"])
    assert "-Werror" not in run_quietly(make, env={"WARN": "-Wall"})


def test_image_older_than_its_sources_is_refused(tmp_path: Path) -> None:
    """An edited source or linker script makes the image stale until it is built again; documents do not."""
    folder = tmp_path / "out"
    write_project(project_files(sparse_project()), folder)
    opened = open_folder(folder)
    with pytest.raises(BuildError, match="has not been built"):
        opened.need_elf()
    opened.elf.parent.mkdir()
    opened.elf.write_bytes(b"image")
    assert opened.need_elf() == opened.elf
    later = opened.elf.stat().st_mtime_ns + 1_000_000
    os.utime(folder / "README.md", ns=(later, later))
    assert opened.need_elf() == opened.elf
    for name in ("model/tiny.c", "firmware/link.ld"):
        os.utime(folder / name, ns=(later, later))
        with pytest.raises(BuildError, match=f"{name} changed since") as caught:
            opened.need_elf()
        assert caught.value.hint == f"mcuprune build {folder}"
        os.utime(folder / name, ns=(0, 0))


def test_build_id_does_not_depend_on_the_place(tmp_path: Path) -> None:
    """The same project built in two folders has one build id."""
    from mcuprune.build.sizes import read_build_id

    ids = set()
    for place in ("a", "b/deeper"):
        folder = tmp_path / place
        write_project(project_files(tiny_project("host")), folder)
        subprocess.run(["make", "-C", str(folder)], check=True, capture_output=True)
        ids.add(read_build_id(folder / "build" / "tiny.elf"))
    assert len(ids) == 1
    assert len(ids.pop()) == 40
