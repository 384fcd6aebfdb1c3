"""Networks become files: textures, maps, coverage."""
