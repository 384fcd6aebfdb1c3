"""The decomposition folder on disk: manifest, maps and their index. Needs no torch."""
