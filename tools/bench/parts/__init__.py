"""The parts of bench.py, one module a part; each has `measure(bench) -> list[Figure]`."""
