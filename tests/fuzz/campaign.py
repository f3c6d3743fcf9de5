"""A campaign: many seeds, each judged in a process of its own, some at a time."""

from __future__ import annotations

import itertools
import os
import resource
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.bases import draw
from tests.fuzz.judge import FAILED, MEMORY_BYTES, SECONDS, Verdict, in_child
from tests.fuzz.mutate import Mutant, mutant

STUCK_S = 120  # of time on the clock for one mutant, building C included


@dataclass(slots=True)
class _Running:
    """A mutant that is being judged; had_bytes: the memory that its process began with, this one's."""

    seed: int
    child: int
    had_bytes: int
    began: float = field(default_factory=time.monotonic)
    told: bytes = b""


def campaign(
    seeds: Iterable[int],
    *,
    jobs: int,
    every_c: int,
    done: Callable[[int, Verdict], None],
    mutant_of: Callable[[int], Mutant] = mutant,
) -> None:
    """Judge every seed.

    Args:
        jobs: mutants that are judged at a time.
        every_c: the C of every so many seeds is built and run, if they are accepted; 0: of none.
        done: told each seed's verdict, in the order in which they end.
    """
    draw()  # models are built once, before the first process is forked
    running: dict[int, _Running] = {}
    waiting, number = iter(seeds), itertools.count()
    with selectors.DefaultSelector() as selector:

        def start() -> None:
            seed = next(waiting, None)
            if seed is None:
                return
            had_bytes = _own_bytes()
            child, pipe = in_child(mutant_of, seed, every_c > 0 and next(number) % every_c == 0)
            running[pipe] = _Running(seed, child, had_bytes)
            selector.register(pipe, selectors.EVENT_READ)

        for _ in range(jobs):
            start()
        while running:
            for key, _ in selector.select(1.0):
                pipe = key.fd
                part = os.read(pipe, 65536)
                running[pipe].told += part
                if not part:
                    selector.unregister(pipe)
                    os.close(pipe)
                    ended = running.pop(pipe)
                    done(ended.seed, _verdict(ended))
                    start()
            for one in running.values():
                if time.monotonic() - one.began > STUCK_S:
                    os.kill(one.child, signal.SIGKILL)


def _verdict(ended: _Running) -> Verdict:
    """What a process said, or how it died."""
    _, status, usage = os.wait4(ended.child, 0)
    steps, _, verdict = ended.told.decode("utf-8", "replace").partition("verdict ")
    last = steps.rstrip().rpartition("step ")[2] or "mutation"
    if os.WIFSIGNALED(status) or not verdict:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        how = {signal.SIGPROF: f"took more than {SECONDS} s", signal.SIGKILL: "hung"}.get(number)
        return Verdict(FAILED, f"{last} {how or f'died of signal {number}'}")
    kind, _, what = verdict.partition("\n")
    took_bytes = usage.ru_maxrss * 1024 - ended.had_bytes
    if took_bytes > MEMORY_BYTES:
        return Verdict(FAILED, f"took {took_bytes >> 20} MiB of memory")
    return Verdict(kind, what.strip())


def _own_bytes() -> int:
    """What a forked process has from its first moment: resident memory but for what is mapped from files.

    0 where the system does not tell.
    """
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return 0
    _, resident, shared, *_ = map(int, statm.read_text().split())
    return (resident - shared) * resource.getpagesize()
