"""The networks: hash grids, mapping, texture, residual and alpha fields."""
