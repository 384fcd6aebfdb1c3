"""The grid that the live preview lays over a shot, as `nvd render --overlay grid` draws it.

The formulas are those of nvd_core/editing/overlay.py; a test compares the two.
"""

import gpu

from . import preview_shader

CELLS = 16
COLOURS = (
    (1.0, 0.85, 0.1),
    (0.1, 0.9, 1.0),
    (1.0, 0.3, 0.8),
    (0.5, 1.0, 0.3),
    (1.0, 0.5, 0.1),
)
"""of the objects, front to back"""
BACKGROUND = (0.95, 0.95, 0.95)

_OVER = """
void main()
{
  result = texelFetch(lines, ivec2(gl_FragCoord.xy), 0);
}
"""

_GRID = """
vec2 least_step(ivec2 pixel, ivec2 way, vec2 here)
{
  ivec2 last = textureSize(place, 0) - 1;
  vec2 least = vec2(1e9);
  for (int side = -1; side <= 1; side += 2) {
    ivec2 beside = pixel + side * way;
    if (clamp(beside, ivec2(0), last) == beside) {
      least = min(least, abs(texelFetch(place, beside, 0).xy * cells - here));
    }
  }
  return mix(least, vec2(0.0), vec2(greaterThan(least, vec2(1e8))));
}

void main()
{
  ivec2 pixel = ivec2(gl_FragCoord.xy);
  vec3 uva = texelFetch(place, pixel, 0).xyz;
  vec2 here = uva.xy * cells;
  vec2 across = least_step(pixel, ivec2(1, 0), here);
  vec2 down = least_step(pixel, ivec2(0, 1), here);
  vec2 slope = sqrt(across * across + down * down);
  vec2 nearest = floor(here + 0.5);
  vec2 away = abs(here - nearest) / max(slope, vec2(1e-9));
  vec2 wide = mix(vec2(0.7), vec2(1.4), vec2(equal(mod(nearest, 4.0), vec2(0.0))));
  vec2 cover = clamp(wide + 0.5 - away, vec2(0.0), vec2(1.0));
  float share = max(cover.x, cover.y) * uva.z * opacity;
  result = vec4(colour * share, share);
}
"""

_made: dict[str, gpu.types.GPUShader] = {}
preview_shader.when_forgotten.append(_made.clear)


class Lines:
    """The grids of all layers of a frame, which add up as the layers' alphas do."""

    def __init__(self, width: int, height: int):
        self._target = gpu.types.GPUOffScreen(width, height, format="RGBA32F")
        self._shaders = _shaders()

    def begin(self) -> None:
        """Start without any line."""
        with self._target.bind():
            gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 0))

    def add(
        self,
        place: gpu.types.GPUTexture,
        size: tuple[int, int],
        colour: tuple[float, float, float],
        opacity: float,
    ) -> None:
        """Add a layer's, whose texture has this `size`.

        place: u, v, alpha of each pixel, bottom row first.
        """
        shader = self._shaders["grid"]
        shader.bind()
        shader.uniform_sampler("place", place)
        shader.uniform_float("cells", [CELLS * side / max(size) for side in size])
        shader.uniform_float("colour", colour)
        shader.uniform_float("opacity", opacity)
        preview_shader.fill(shader, "ADDITIVE_PREMULT", self._target)

    def lay(
        self, picture: preview_shader.Picture, region: preview_shader.Rectangles | None = None
    ) -> None:
        """Lay them over the picture, which has ended, or over the region that was made anew."""
        shader = self._shaders["over"]
        shader.bind()
        shader.uniform_sampler("lines", self._target.texture_color)
        preview_shader.fill(shader, "ALPHA_PREMULT", picture.target, region)


def _shaders() -> dict[str, gpu.types.GPUShader]:
    if not _made:
        amounts = {"cells": "VEC2", "colour": "VEC3", "opacity": "FLOAT"}
        _made["grid"] = preview_shader.compiled(_GRID, ("place",), amounts)
        _made["over"] = preview_shader.compiled(_OVER, ("lines",), {})
    return _made
