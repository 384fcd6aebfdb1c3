"""The decomposition folder: manifest, baking, reading and checking."""
