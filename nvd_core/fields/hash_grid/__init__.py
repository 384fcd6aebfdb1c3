"""The multiresolution hash grid: one interface, four kernels."""
