"""`python -m tests.fuzz`: judge many mutants and sum up, or show one by its seed.

python -m tests.fuzz --count 10000 --first 0
python -m tests.fuzz --count 500 --base '*16*'
python -m tests.fuzz --seed 4711 -o mutant.tflite
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from mcuprune.cli.common import progress
from tests.fuzz.campaign import campaign
from tests.fuzz.judge import FAILED, Verdict
from tests.fuzz.mutate import base_of, mutant


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, help="mutants to judge (default 10000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (default 0)")
    parser.add_argument("--base", default="*", help="of seeds whose model has a name like this (default '*')")
    parser.add_argument("--seed", type=int, help="judge this one, and say how it came to be")
    parser.add_argument("-o", "--output", type=Path, help="with --seed: write the mutant to a file")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants at a time (default: processors)")
    parser.add_argument("--every-c", type=int, default=10, help="build the C of every so many (default 10; 0: of none)")
    options = parser.parse_args()
    if options.seed is None:
        seeds = (seed for seed in itertools.count(options.first) if fnmatchcase(base_of(seed), options.base))
        return many(itertools.islice(seeds, options.count), options.count, options.jobs, options.every_c)
    made = mutant(options.seed)
    print(f"seed {options.seed}, {made}")
    if options.output:
        options.output.write_bytes(made.content)
    return many([options.seed], 1, 1, 1, show=True)


def many(seeds: Iterable[int], count: int, jobs: int, every_c: int, show: bool = False) -> int:
    """Judge `count` seeds; 1 where one failed."""
    found: Counter[str] = Counter()
    began = time.monotonic()
    with progress("mutants", count) as update:

        def done(seed: int, verdict: Verdict) -> None:
            found[verdict.kind] += 1
            update(found.total())
            if show:
                print(f"{verdict.kind}\n{verdict.what}")
            elif verdict.kind == FAILED:
                print(f"{verdict.what}\n  {mutant(seed)}\n  again: python -m tests.fuzz --seed {seed}", flush=True)

        campaign(seeds, jobs=jobs, every_c=every_c, done=done)
    kinds = ", ".join(f"{n} {kind}" for kind, n in found.most_common())
    print(f"{count} mutants in {time.monotonic() - began:.0f} s: {kinds}")
    return 1 if found[FAILED] else 0


if __name__ == "__main__":
    sys.exit(main())
