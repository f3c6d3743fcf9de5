"""The table of benchmarks: models by boards by sparsities, counted in QEMU; `make bench`."""
