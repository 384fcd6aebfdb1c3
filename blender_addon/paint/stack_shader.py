"""A layer's sheet with the stack of edits on it, put together on the graphics card.

    sheet = Sheet(width, height)
    sheet.begin(edit, base, learned, ...)         # what is painted on the layer, e0
    sheet.lay(Source(texture), opacity, "multiply", matrix, taps)
    sheet.adjust(mask, opacity, "normal", hue=20)
    sheet.texture                                  # display-encoded and not clamped, alpha 1

The formulas are the engine's (docs/reference/decomposition-folder.md). A pass takes three textures
at most. What shrinks is averaged over several points a texel. Only to be used where Blender draws.
"""

from dataclasses import dataclass

import gpu
import numpy as np

from ..shot.stack_file import BLENDS
from . import preview_shader
from .preview_shader import ENCODED, STORED_COLOURS, Rectangles

# `edit` is as large as `base`, and the sheet as `learned`. Where both are of one size no texel is
# filtered, so that what is not painted stays exactly as it is
_BEGIN = """
vec3 painted(ivec2 at)
{
  ivec2 inside = clamp(at, ivec2(0), textureSize(base, 0) - 1);
  vec4 e = texelFetch(edit, inside, 0);
  vec3 paint = stored(e.rgb, edit_form) - stored(texelFetch(base, inside, 0).rgb, base_form);
  if (dead_zone > 0.0) {
    float largest = max(max(abs(paint.r), abs(paint.g)), abs(paint.b));
    paint *= clamp(largest / dead_zone - 1.0, 0.0, 1.0);
  }
  return e.a * paint;
}

void main()
{
  ivec2 texel = ivec2(gl_FragCoord.xy);
  ivec2 size = textureSize(learned, 0);
  ivec2 own = textureSize(base, 0);
  vec3 paint;
  if (size == own) {
    paint = painted(texel);
  }
  else {
    vec2 at = gl_FragCoord.xy / vec2(size) * vec2(own) - 0.5;
    ivec2 first = ivec2(floor(at));
    vec2 part = at - floor(at);
    vec3 below = mix(painted(first), painted(first + ivec2(1, 0)), part.x);
    vec3 above = mix(painted(first + ivec2(0, 1)), painted(first + ivec2(1, 1)), part.x);
    paint = mix(below, above, part.y);
  }
  result = vec4(stored(texelFetch(learned, texel, 0).rgb, learned_form) + paint, 1.0);
}
"""

_BLEND = """
float blended(float e, float s)
{
  switch (blend) {
    case 1: return e * s;
    case 2: return 1.0 - (1.0 - e) * (1.0 - s);
    case 3: return e <= 0.5 ? 2.0 * e * s : 1.0 - 2.0 * (1.0 - e) * (1.0 - s);
    case 4: return (1.0 - 2.0 * s) * e * e + 2.0 * s * e;
    case 5: return e + s;
    case 6: return e - s;
    case 7: return min(e, s);
    case 8: return max(e, s);
  }
  return s;
}

vec4 laid(vec3 e, vec3 s, float share)
{
  vec3 mixed = vec3(blended(e.r, s.r), blended(e.g, s.g), blended(e.b, s.b));
  return vec4(share > 0.0 ? e + share * (mixed - e) : e, 1.0);
}
"""

# The source is filtered premultiplied. Images of Blender have their bottom row first; the matrix
# takes places on the sheet to places on the source, both from the top left, 0 to 1
_SAMPLE = """
vec4 texel(ivec2 at)
{
  ivec2 size = textureSize(source, 0);
  ivec2 inside = clamp(at, ivec2(0), size - 1);
  if (is_pinned != 0 && inside != at) {
    return vec4(0.0);
  }
  vec4 colour = texelFetch(source, inside, 0);
  if (is_premultiplied != 0 && colour.a != 0.0) {
    colour.rgb /= colour.a;
  }
  float alpha = clamp(colour.a, 0.0, 1.0);
  return vec4(stored(colour.rgb, form) * alpha, alpha);
}

vec4 bilinear(vec2 place)
{
  vec2 at = vec2(place.x, 1.0 - place.y) * vec2(textureSize(source, 0)) - 0.5;
  if (is_pinned != 0 && any(greaterThan(abs(place - 0.5), vec2(2.0)))) {
    return vec4(0.0);
  }
  ivec2 first = ivec2(floor(at));
  vec2 part = at - floor(at);
  vec4 below = mix(texel(first), texel(first + ivec2(1, 0)), part.x);
  vec4 above = mix(texel(first + ivec2(0, 1)), texel(first + ivec2(1, 1)), part.x);
  return mix(below, above, part.y);
}

vec4 sampled()
{
  vec2 size = vec2(textureSize(below, 0));
  vec4 sum = vec4(0.0);
  for (int i = 0; i < taps; i++) {
    for (int j = 0; j < taps; j++) {
      vec2 part = (vec2(float(i), float(j)) + 0.5) / float(taps) - 0.5;
      vec2 at = (gl_FragCoord.xy + part) / size;
      vec4 place = matrix * vec4(at.x, 1.0 - at.y, 1.0, 0.0);
      if (place.z > 0.0) {
        sum += bilinear(place.xy / place.z);
      }
    }
  }
  return sum / float(taps * taps);
}
"""

_LAY = """
void main()
{
  vec3 e = texelFetch(below, ivec2(gl_FragCoord.xy), 0).rgb;
  vec4 s = sampled();
  result = laid(e, s.a > 0.0 ? s.rgb / s.a : vec3(0.0), s.a * opacity);
}
"""

_ADJUST = """
vec3 turned(vec3 colour)
{
  vec3 rgb = max(colour, vec3(0.0));
  float value = max(max(rgb.r, rgb.g), rgb.b);
  float chroma = value - min(min(rgb.r, rgb.g), rgb.b);
  float wide = chroma > 0.0 ? chroma : 1.0;
  float sixth;
  if (value == rgb.r) {
    sixth = mod((rgb.g - rgb.b) / wide, 6.0);
  }
  else if (value == rgb.g) {
    sixth = (rgb.b - rgb.r) / wide + 2.0;
  }
  else {
    sixth = (rgb.r - rgb.g) / wide + 4.0;
  }
  sixth += change.x / 60.0;
  chroma = value * clamp(chroma / (value > 0.0 ? value : 1.0) * change.y, 0.0, 1.0);
  vec3 k = mod(vec3(5.0, 3.0, 1.0) + sixth, vec3(6.0));
  return value - chroma * clamp(min(k, 4.0 - k), 0.0, 1.0);
}

void main()
{
  vec3 e = texelFetch(below, ivec2(gl_FragCoord.xy), 0).rgb;
  vec3 s = change.x != 0.0 || change.y != 1.0 ? turned(e) : e;
  s *= change.z;
  if (change.w != 1.0) {
    s = pow(max(s, vec3(0.0)), vec3(1.0 / change.w));
  }
  vec4 mask = has_mask != 0 ? sampled() : vec4(1.0);
  result = laid(e, s, clamp(dot(mask.rgb, vec3(1.0 / 3.0)), 0.0, 1.0) * opacity);
}
"""


@dataclass
class Source:
    """A picture to be laid on a sheet, or a mask."""

    texture: gpu.types.GPUTexture
    form: int = ENCODED
    is_premultiplied: bool = False
    is_pinned: bool = False  # nothing is outside; else it goes on as at its edge
    matrix: np.ndarray | None = None  # [3, 3], from the sheet to the picture; None: stretched
    taps: int = 1  # points along each axis of a texel of the sheet


class Sheet:
    """A layer's sheet; two pictures of 32 bits, each pass from the one to the other."""

    def __init__(self, width: int, height: int):
        self.size = width, height
        self._pictures = [gpu.types.GPUOffScreen(*self.size, format="RGBA32F") for _ in range(2)]
        self._region: Rectangles | None = None

    @property
    def texture(self) -> gpu.types.GPUTexture:
        return self._pictures[0].texture_color

    def begin(
        self,
        edit,
        base,
        learned,
        forms: tuple[int, int, int],
        dead_zone: float,
        region: Rectangles | None = None,
        passes: int = 0,
    ) -> None:
        """What is painted: `edit` compared with `base`, on `learned`, which has the sheet's size.

        forms: those of the three textures. region: what alone is made anew by this and the `passes`
        that follow, in the picture that was shown last.
        """
        self._region = region
        if passes % 2:
            self._pictures.reverse()
        shader = _shaders()["stack begin"]
        shader.bind()
        named = (("edit", edit), ("base", base), ("learned", learned))
        for (name, texture), form in zip(named, forms, strict=True):
            shader.uniform_sampler(name, texture)
            shader.uniform_int(f"{name}_form", form)
        shader.uniform_float("dead_zone", dead_zone)
        preview_shader.fill(shader, "NONE", self._pictures[0], region)

    def lay(self, source: Source, opacity: float, blend: str) -> None:
        """A picture over what there is."""
        shader = self._bound("stack lay", source, opacity, blend)
        self._turn(shader)

    def adjust(
        self,
        mask: Source | None,
        opacity: float,
        blend: str,
        hue: float = 0.0,
        saturation: float = 1.0,
        gain: float = 1.0,
        gamma: float = 1.0,
    ) -> None:
        """What there is with its colours changed; hue in degrees."""
        shader = self._bound("stack adjust", mask or Source(self.texture), opacity, blend)
        shader.uniform_int("has_mask", int(mask is not None))
        shader.uniform_float("change", (hue, saturation, gain, gamma))
        self._turn(shader)

    def _bound(self, name: str, source: Source, opacity: float, blend: str):
        shader = _shaders()[name]
        shader.bind()
        shader.uniform_sampler("below", self.texture)
        shader.uniform_sampler("source", source.texture)
        shader.uniform_float("matrix", _columns(source.matrix))
        shader.uniform_float("opacity", opacity)
        numbers = {
            "blend": BLENDS.index(blend),
            "form": source.form,
            "is_premultiplied": source.is_premultiplied,
            "is_pinned": source.is_pinned,
            "taps": source.taps,
        }
        for key, value in numbers.items():
            shader.uniform_int(key, int(value))
        return shader

    def _turn(self, shader) -> None:
        preview_shader.fill(shader, "NONE", self._pictures[1], self._region)
        self._pictures.reverse()


def _columns(matrix: np.ndarray | None):
    """A [3, 3] as the shader's mat4: of (u, v, 1, 0) the first three are what counts."""
    from mathutils import Matrix

    whole = np.eye(4)
    if matrix is not None:
        whole[:3, :3] = matrix
    return Matrix(whole.tolist())


def _shaders() -> dict[str, gpu.types.GPUShader]:
    """Compiled on first use; they are freed with those of the preview."""
    made = preview_shader.shaders()
    if "stack begin" not in made:
        encode = preview_shader.ENCODE
        forms = dict.fromkeys(("edit_form", "base_form", "learned_form"), "INT")
        switches = ("blend", "form", "is_premultiplied", "is_pinned", "taps")
        common = {"matrix": "MAT4", "opacity": "FLOAT", **dict.fromkeys(switches, "INT")}
        pair, sample = ("below", "source"), encode + STORED_COLOURS + _BLEND + _SAMPLE
        made["stack begin"] = preview_shader.compiled(
            encode + STORED_COLOURS + _BEGIN,
            ("edit", "base", "learned"),
            {**forms, "dead_zone": "FLOAT"},
        )
        made["stack lay"] = preview_shader.compiled(sample + _LAY, pair, common)
        changes = {"matrix": "MAT4", "change": "VEC4", **common, "has_mask": "INT"}
        made["stack adjust"] = preview_shader.compiled(sample + _ADJUST, pair, changes)
    return made
