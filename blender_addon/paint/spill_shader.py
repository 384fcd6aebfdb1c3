"""A layer's matte raised to what the plate shows of the replaced colour, on the graphics card.

    made = with_spill(place, light, share, frame, learned, others)
    made.texture                          # u, v and the raised matte, in place of `place`

The formula is the engine's (`spilt` in nvd_core/editing/edges.py). Only to be used where Blender
draws.
"""

from dataclasses import dataclass

import gpu

from . import edge_shader, preview_shader

SPILL_REACH = 240
"""lines of the picture for each pixel beyond a matte's edge in which colour may have spilt"""
LEAST_REACH = 2

# The layer's places with its matte whole, to look it up alone
_WHOLE = """
void main()
{
  result = vec4(texelFetch(place, ivec2(gl_FragCoord.xy), 0).xy, 1.0, 0.0);
}
"""

_SPILL = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 size = textureSize(place, 0);
  vec4 own = texelFetch(place, at, 0);
  float least = own.z;
  float most = own.z;
  for (int y = -reach; y <= reach; y++) {
    for (int x = -reach; x <= reach; x++) {
      ivec2 near = at + ivec2(x, y);
      if (all(greaterThanEqual(near, ivec2(0))) && all(lessThan(near, size))) {
        float value = texelFetch(place, near, 0).z;
        least = min(least, value);
        most = max(most, value);
      }
    }
  }
  float matte = own.z;
  if (most > 1.0 / 64.0 && least < 63.0 / 64.0) {
    vec3 behind = texelFetch(rest, at, 0).rgb / max(1.0 - own.z, 1.0 / 64.0);
    vec3 apart = texelFetch(alone, at, 0).rgb - behind;
    float far = dot(apart, apart);
    float found = dot(texelFetch(plate, at, 0).rgb - behind, apart) / max(far, 1e-8);
    float trust = far / (far + 3.0 * 0.02 * 0.02);
    matte += share * trust * max(clamp(found, 0.0, 1.0) - matte, 0.0);
  }
  result = vec4(own.xy, matte, 1.0);
}
"""


@dataclass
class Spilt:
    """What `with_spill` makes; it is alive as long as its targets are."""

    target: gpu.types.GPUOffScreen
    parts: list
    """what it was made of: the graphics card may be at work on it still"""

    @property
    def texture(self) -> gpu.types.GPUTexture:
        """u, v and the matte; bottom row first."""
        return self.target.texture_color


def reach_of(height: int) -> int:
    """Pixels around a matte's soft edge in which the plate is asked."""
    return max(LEAST_REACH, round(height / SPILL_REACH))


def with_spill(
    place: gpu.types.GPUTexture,
    light: gpu.types.GPUTexture,
    share: float,
    reach: int,
    frame: preview_shader.Frame,
    learned: tuple[gpu.types.GPUTexture, int],
    others: list[preview_shader.Layer],
) -> Spilt:
    """The matte with this share of what spilt. `learned`: the layer's texture and its form.
    `others`: all other layers as they were learned. `reach`: pixels beyond the matte in which the
    layer is continued, those for its other edges included.
    """
    size, made = (place.width, place.height), _shaders()
    continued = edge_shader.continued(place, light, reach)
    whole = gpu.types.GPUOffScreen(*size, format="RGBA32F")
    shader = made["whole"]
    shader.bind()
    shader.uniform_sampler("place", continued.place)
    preview_shader.fill(shader, "NONE", whole)
    plate, alone, rest = (preview_shader.Picture(*size) for _ in range(3))
    plate.begin(frame)
    alone.begin(None, "full")
    texture, form = learned
    own = preview_shader.Layer(texture, texture, whole.texture_color, continued.light)
    own.edit_form = own.learned_form = form
    alone.add(own, "full")
    rest.begin(None, "full")
    for other in others:
        rest.add(other, "full")
    target = gpu.types.GPUOffScreen(*size, format="RGBA32F")
    shader = made["spill"]
    shader.bind()
    shader.uniform_sampler("place", place)
    for name, picture in (("plate", plate), ("alone", alone), ("rest", rest)):
        shader.uniform_sampler(name, picture.texture)
    shader.uniform_int("reach", reach_of(place.height))
    shader.uniform_float("share", share)
    preview_shader.fill(shader, "NONE", target)
    return Spilt(target, [continued, whole, plate, alone, rest, others])


def _shaders() -> dict[str, gpu.types.GPUShader]:
    """The shaders by name, compiled on first use and freed with those of the preview."""
    made = preview_shader.shaders()
    if "spill whole" not in made:
        made["spill whole"] = preview_shader.compiled(_WHOLE, ("place",), {})
        made["spill spill"] = preview_shader.compiled(
            _SPILL, ("place", "plate", "alone", "rest"), {"reach": "INT", "share": "FLOAT"}
        )
    return {name.removeprefix("spill "): made[name] for name in made if name.startswith("spill ")}
