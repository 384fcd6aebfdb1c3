"""A layer's places and light made of its nodes on the graphics card.

    nodes = Nodes(layer_nodes)                     # uploads them
    made = nodes.evaluate()
    made.place, made.light                         # textures of every pixel, bottom row first

The twin of shot/node_maps.py, in the same whole numbers: the same bits. What is uploaded is small,
so a frame's maps need not be made of it before it is shown. Only to be used where Blender draws.
"""

from dataclasses import dataclass

import gpu
import numpy as np

from ..shot.node_maps import ALPHA_BITS, FULL, LIGHT_BITS, MOST_LIGHT, SIDE, Lattice, LayerNodes
from . import preview_shader

ACROSS = 256
"""tiles in a row of a texture that holds tiles one after the other"""
_EXACT = 1 << 24  # up to which floats, which textures hold, are whole numbers

_NODES = f"""
#define SIDE {SIDE}
#define ACROSS {ACROSS}
#define FULL {FULL}
#define ALPHA_BITS {ALPHA_BITS}
#define LIGHT_BITS {LIGHT_BITS}
#define MOST_LIGHT {MOST_LIGHT}
"""

# Textures have their first row at the bottom, as they are numbered here; the frame its last
_COMMON = """
ivec4 weights(int p, int s)
{
  int unit = 512 / (s * s * s);
  return unit * ivec4(p * (2 * p * s - s * s - p * p),
                      2 * s * s * s - 5 * p * p * s + 3 * p * p * p,
                      p * (s * s + 4 * p * s - 3 * p * p),
                      p * p * (p - s));
}

ivec3 node(int x, int y)
{
  return ivec3(texelFetch(nodes, ivec2(x, y), 0).rgb);
}

ivec3 along(ivec2 cell, ivec4 w)
{
  ivec3 sum = w.x * node(cell.x, cell.y) + w.y * node(cell.x + 1, cell.y)
            + w.z * node(cell.x + 2, cell.y) + w.w * node(cell.x + 3, cell.y);
  return (sum + 512) >> 10;
}

// The whole numbers of a field at a pixel of the box, corrected
ivec3 field(ivec2 at, int number)
{
  ivec2 cell = at / step_of;
  ivec2 phase = at - cell * step_of;
  ivec4 w = weights(phase.x, step_of);
  ivec4 v = weights(phase.y, step_of);
  ivec3 sum = v.x * along(cell, w) + v.y * along(cell + ivec2(0, 1), w)
            + v.z * along(cell + ivec2(0, 2), w) + v.w * along(cell + ivec2(0, 3), w);
  ivec3 value = (((sum + 512) >> 10) + 2) >> 2;
  if (number >= 0) {
    ivec2 corner = SIDE * ivec2(number % ACROSS, number / ACROSS);
    value += ivec3(texelFetch(corrections, corner + at % SIDE, 0).rgb);
  }
  return value;
}

// The pixel in the box; one outside has a negative x
ivec2 in_box()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 pixel = ivec2(at.x, height - 1 - at.y) - SIDE * corner_of;
  bool inside = all(greaterThanEqual(pixel, ivec2(0)));
  inside = inside && all(lessThan(pixel, SIDE * tiles_of));
  return inside ? pixel : ivec2(-1);
}

// Alpha in whole numbers, of the pixel of the box
int alpha_at(ivec2 at, int kind)
{
  if (kind < 0) {
    return kind == FULL ? 1 << ALPHA_BITS : 0;
  }
  ivec2 corner = SIDE * ivec2(kind % ACROSS, kind / ACROSS);
  return int(texelFetch(alphas, corner + at % SIDE, 0).r);
}
"""

_PLACE = """
void main()
{
  ivec2 at = in_box();
  vec3 tile = texelFetch(tiles, at / SIDE, 0).rgb;
  int alpha = at.x < 0 ? 0 : alpha_at(at, int(tile.r));
  if (alpha == 0) {
    discard;
  }
  ivec2 place = clamp(field(at, int(tile.g)).xy, ivec2(0), most);
  result = vec4(vec2(place) * unit, float(alpha) * (1.0 / 4096.0), 0.0);
}
"""

_LIGHT = """
int as_half(int value)
{
  int drop = findMSB(value) - 10;
  return drop > 0 ? ((value + ((1 << drop) >> 1)) >> drop) << drop : value;
}

void main()
{
  ivec2 at = in_box();
  vec3 tile = texelFetch(tiles, at / SIDE, 0).rgb;
  if (at.x < 0 || alpha_at(at, int(tile.r)) == 0) {
    discard;
  }
  ivec3 lit = clamp(field(at, int(tile.b)), ivec3(0), ivec3(MOST_LIGHT));
  lit = ivec3(as_half(lit.r), as_half(lit.g), as_half(lit.b));
  result = vec4(vec3(lit) * (1.0 / 1024.0), 0.0);
}
"""


def fits(layer: LayerNodes) -> bool:
    """Whether textures of floats hold its numbers exactly; all but the strongest lights do."""
    parts = layer.place.corrections, layer.light.corrections
    return all(np.abs(part).max(initial=0) < _EXACT for part in parts)


@dataclass
class Maps:
    """What is made of nodes; it is alive as long as its targets are."""

    places: gpu.types.GPUOffScreen
    lights: gpu.types.GPUOffScreen

    @property
    def place(self) -> gpu.types.GPUTexture:
        """u, v, alpha and 0 of every pixel; bottom row first."""
        return self.places.texture_color

    @property
    def light(self) -> gpu.types.GPUTexture:
        """The residual; bottom row first."""
        return self.lights.texture_color


class Nodes:
    """A layer's nodes in textures. `nbytes` is what was uploaded."""

    def __init__(self, layer: LayerNodes):
        self._layer, self.nbytes = layer, 0
        kinds = np.stack([layer.alpha, layer.place.corrected, layer.light.corrected], -1)
        self._tiles, self._alphas = self._texture(kinds), self._texture(_row(layer.alphas[:, None]))
        self._place, self._light = (self._field(part) for part in (layer.place, layer.light))

    def evaluate(self) -> Maps:
        """The maps of every pixel."""
        size = self._layer.size
        made = Maps(*(gpu.types.GPUOffScreen(*size, format="RGBA32F") for _ in range(2)))
        for name, field, lattice, target in (
            ("place", self._place, self._layer.place, made.places),
            ("light", self._light, self._layer.light, made.lights),
        ):
            with target.bind():  # where the layer does not show
                gpu.state.active_framebuffer_get().clear(color=_ABSENT[name])
            shader = _shaders()[name]
            shader.bind()
            textures = self._tiles, self._alphas, *field
            for sampler, texture in zip(_SAMPLERS, textures, strict=True):
                shader.uniform_sampler(sampler, texture)
            left, top, right, bottom = self._layer.box
            shader.uniform_int("step_of", lattice.step)
            shader.uniform_int("height", size[1])
            shader.uniform_int("corner_of", (left, top))
            shader.uniform_int("tiles_of", (right - left, bottom - top))
            if name == "place":
                bits = self._layer.bits
                shader.uniform_int("most", tuple(1 << digits for digits in bits))
                shader.uniform_float("unit", tuple(2.0**-digits for digits in bits))
            preview_shader.fill(shader, "NONE", target)
        return made

    def _field(self, lattice: Lattice) -> tuple[gpu.types.GPUTexture, gpu.types.GPUTexture]:
        """Nodes and corrections."""
        nodes = self._texture(lattice.nodes.transpose(1, 2, 0))
        return nodes, self._texture(_row(lattice.corrections))

    def _texture(self, values: np.ndarray) -> gpu.types.GPUTexture:
        """Whole numbers [h, w, C] as floats; one texel where there are none."""
        height, width, channels = values.shape
        if not values.size:
            height, width, values = 1, 1, np.zeros((1, 1, channels))
        kind = {1: "R32F", 2: "RG32F", 3: "RGBA32F"}[channels]
        held = 4 if channels == 3 else channels  # a graphics card knows no texels of three
        data = np.zeros((height, width, held), np.float32)
        data[..., :channels] = values
        self.nbytes += data.nbytes
        buffer = gpu.types.Buffer("FLOAT", data.size, data.ravel())
        return gpu.types.GPUTexture((width, height), format=kind, data=buffer)


_ABSENT = {"place": (0.0, 0.0, 0.0, 0.0), "light": (1.0, 1.0, 1.0, 0.0)}
_SAMPLERS = ("tiles", "alphas", "nodes", "corrections")


def _row(tiles: np.ndarray) -> np.ndarray:
    """Tiles [n, C, SIDE, SIDE] in rows of ACROSS: [h, w, C]."""
    count, channels = tiles.shape[:2]
    rows = -(-count // ACROSS)
    padded = np.zeros((rows * ACROSS, channels, SIDE, SIDE), tiles.dtype)
    padded[:count] = tiles
    apart = padded.reshape(rows, ACROSS, channels, SIDE, SIDE).transpose(0, 3, 1, 4, 2)
    return apart.reshape(rows * SIDE, ACROSS * SIDE, channels)


def _shaders() -> dict[str, gpu.types.GPUShader]:
    """The shaders by name, compiled on first use and freed with those of the preview."""
    made = preview_shader.shaders()
    if "nodes place" not in made:
        whole = {"step_of": "INT", "height": "INT", "corner_of": "IVEC2", "tiles_of": "IVEC2"}
        made["nodes place"] = preview_shader.compiled(
            _NODES + _COMMON + _PLACE, _SAMPLERS, {**whole, "most": "IVEC2", "unit": "VEC2"}
        )
        made["nodes light"] = preview_shader.compiled(_NODES + _COMMON + _LIGHT, _SAMPLERS, whole)
    return {name: made[f"nodes {name}"] for name in ("place", "light")}
