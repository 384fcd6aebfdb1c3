"""A layer's places and light with the edges of its paint, made on the graphics card.

    made = with_edges(place, light, choke, feather, holdout)
    made.place, made.light                     # in place of the maps' own

The formulas are the engine's (docs/reference/decomposition-folder.md, edits/finish.json): choke,
feather and holdout; spill_shader.py raises the matte beforehand, blur_shader.py blurs what moves.
Only to be used where Blender draws.
"""

import math
from dataclasses import dataclass

import gpu

from . import preview_shader

FAINTEST = 1e-4
"""a matte that was softened below it counts as 0"""

# The least or largest matte within a disc, of a radius between two whole ones by both
_CHOKE = """
float within(ivec2 at, int radius)
{
  ivec2 size = textureSize(place, 0);
  float found = texelFetch(place, at, 0).z;
  for (int y = -radius; y <= radius; y++) {
    for (int x = -radius; x <= radius; x++) {
      ivec2 near = at + ivec2(x, y);
      bool inside = all(greaterThanEqual(near, ivec2(0))) && all(lessThan(near, size));
      if (x * x + y * y <= radius * radius && inside) {
        float value = texelFetch(place, near, 0).z;
        found = amount > 0.0 ? min(found, value) : max(found, value);
      }
    }
  }
  return found;
}

void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  float size = abs(amount);
  int whole = int(floor(size));
  float matte = within(at, whole);
  float part = size - float(whole);
  if (part > 0.0) {
    matte = mix(matte, within(at, whole + 1), part);
  }
  result = vec4(texelFetch(place, at, 0).xy, matte, 1.0);
}
"""

_FEATHER = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 last = textureSize(place, 0) - 1;
  float sigma = amount / 3.0;
  int radius = int(ceil(amount));
  float sum = 0.0;
  float weights = 0.0;
  for (int k = -radius; k <= radius; k++) {
    float weight = exp(-0.5 * float(k * k) / (sigma * sigma));
    ivec2 near = clamp(at + (is_down != 0 ? ivec2(0, k) : ivec2(k, 0)), ivec2(0), last);
    sum += weight * texelFetch(place, near, 0).z;
    weights += weight;
  }
  float matte = sum / weights;
  result = vec4(texelFetch(place, at, 0).xy, matte, 1.0);
}
"""

# Where the layer does not show by itself, its nearest pixel says where it goes on
_CONTINUE = """
ivec2 nearest(ivec2 at)
{
  ivec2 size = textureSize(place, 0);
  ivec2 best = at;
  int least = reach * reach + reach + 1;
  for (int y = -reach; y <= reach; y++) {
    for (int x = -reach; x <= reach; x++) {
      ivec2 near = at + ivec2(x, y);
      bool inside = all(greaterThanEqual(near, ivec2(0))) && all(lessThan(near, size));
      int far = x * x + y * y;
      if (far < least && inside && texelFetch(place, near, 0).z > 0.0) {
        least = far;
        best = near;
      }
    }
  }
  return best;
}

void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  float matte = texelFetch(edges, at, 0).z;
  matte = matte > faintest ? matte : 0.0;
  vec3 own = texelFetch(place, at, 0).xyz;
  ivec2 near = own.z > 0.0 || matte == 0.0 ? at : nearest(at);
  vec2 uv = texelFetch(place, near, 0).xy;
  if (near != at) {
    ivec2 behind = 2 * near - at;
    ivec2 size = textureSize(place, 0);
    bool inside = all(greaterThanEqual(behind, ivec2(0))) && all(lessThan(behind, size));
    if (inside && texelFetch(place, behind, 0).z > 0.0) {
      uv = 2.0 * uv - texelFetch(place, behind, 0).xy;
    }
  }
  if (has_holdout != 0) {
    matte *= 1.0 - texelFetch(holdout, at, 0).r;
  }
  float beyond = max(matte - texelFetch(base, at, 0).z, 0.0);
  vec4 shade = texelFetch(light, near, 0);
  result = wants_light != 0 ? shade : vec4(uv, matte - beyond, beyond);
}
"""


@dataclass
class Edged:
    """What `with_edges` makes; it is alive as long as its targets are."""

    places: gpu.types.GPUOffScreen
    lights: gpu.types.GPUOffScreen
    steps: list[gpu.types.GPUOffScreen]
    """what they were made of: the graphics card may be at work on it still"""

    @property
    def place(self) -> gpu.types.GPUTexture:
        """u, v, the edged matte up to the layer's own, and what is beyond; bottom row first."""
        return self.places.texture_color

    @property
    def light(self) -> gpu.types.GPUTexture:
        """The residual, bottom row first."""
        return self.lights.texture_color


def with_edges(
    place: gpu.types.GPUTexture,
    light: gpu.types.GPUTexture,
    choke: float,
    feather: float,
    holdout: gpu.types.GPUTexture | None,
    spilt: gpu.types.GPUTexture | None = None,
    reach: int = 0,
) -> Edged:
    """Places and light with these edges; pixels of the plate. `spilt` has the matte as spill has
    raised it, by which the layer goes on `reach` pixels farther.
    """
    steps = []
    if choke:
        steps.append(("choke", choke, 0))
    if feather:
        steps += [("feather", feather, 0), ("feather", feather, 1)]
    size, made, edges = (place.width, place.height), _shaders(), spilt or place
    kept = []
    for name, amount, is_down in steps:
        kept.append(gpu.types.GPUOffScreen(*size, format="RGBA32F"))
        shader = made[name]
        shader.bind()
        shader.uniform_sampler("place", edges)
        shader.uniform_float("amount", amount)
        if name == "feather":
            shader.uniform_int("is_down", is_down)
        preview_shader.fill(shader, "NONE", kept[-1])
        edges = kept[-1].texture_color
    reach += math.ceil(max(-choke, 0)) + math.ceil(feather)
    faintest = FAINTEST if feather else 0.0
    targets = _continued(place, light, edges, spilt or place, holdout, reach, faintest)
    return Edged(*targets, kept)


def continued(place: gpu.types.GPUTexture, light: gpu.types.GPUTexture, reach: int) -> Edged:
    """Places and light as they go on within so many pixels beyond the layer's matte."""
    whole = gpu.types.GPUOffScreen(place.width, place.height, format="RGBA32F")
    with whole.bind():
        gpu.state.active_framebuffer_get().clear(color=(0, 0, 1, 1))
    edges = whole.texture_color
    return Edged(*_continued(place, light, edges, place, None, reach, 0.0), [whole])


def _continued(place, light, edges, base, holdout, reach: int, faintest: float) -> list:
    """Targets with the places, whose matte is that of `edges`, and with the light. `base` has the
    matte up to which paint adds its difference.
    """
    size, made = (place.width, place.height), _shaders()
    targets = []
    for wants_light in (0, 1):
        targets.append(gpu.types.GPUOffScreen(*size, format="RGBA32F"))
        shader = made["continue"]
        shader.bind()
        for name, texture in (
            ("place", place),
            ("edges", edges),
            ("base", base),
            ("light", light),
            ("holdout", holdout or light),  # a texture is wanted, where there is none
        ):
            shader.uniform_sampler(name, texture)
        shader.uniform_int("reach", reach)
        shader.uniform_int("has_holdout", int(holdout is not None))
        shader.uniform_int("wants_light", wants_light)
        shader.uniform_float("faintest", faintest)
        preview_shader.fill(shader, "NONE", targets[-1])
    return targets


def _shaders() -> dict[str, gpu.types.GPUShader]:
    """The shaders by name, compiled on first use and freed with those of the preview."""
    made = preview_shader.shaders()
    if "edge choke" not in made:
        one = {"amount": "FLOAT"}
        made["edge choke"] = preview_shader.compiled(_CHOKE, ("place",), one)
        made["edge feather"] = preview_shader.compiled(
            _FEATHER, ("place",), {**one, "is_down": "INT"}
        )
        switches = dict.fromkeys(("reach", "has_holdout", "wants_light"), "INT")
        made["edge continue"] = preview_shader.compiled(
            _CONTINUE,
            ("place", "edges", "base", "light", "holdout"),
            {**switches, "faintest": "FLOAT"},
        )
    return {name.removeprefix("edge "): made[name] for name in made if name.startswith("edge ")}
