"""The program `mcuprune`, also as `python -m mcuprune`."""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Import the command line and run it; Ctrl-C during the imports ends at once, with the code that it always has."""

    def leave(number: int, frame: FrameType | None) -> None:
        os.write(2, b"interrupted\n")
        os._exit(130)

    signal.signal(signal.SIGINT, leave)
    from mcuprune.cli import main as run

    run()


if __name__ == "__main__":
    main()
