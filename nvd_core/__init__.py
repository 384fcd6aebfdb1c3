"""Layered neural video decomposition with multiplicative residuals in space-time.

A clip becomes layers, each a texture that can be painted on, with per-frame maps that carry the
paint, its occlusion and the light of the shot to every frame. docs/architecture.md shows the way
through the package.
"""

__version__ = "0.1.0"
