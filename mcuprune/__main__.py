"""`python -m mcuprune` is `mcuprune`."""

from mcuprune.cli import main

if __name__ == "__main__":
    main()
