"""Motion blur of what is painted, made on the graphics card.

    streaks = Streaks(width, height)
    streaks.begin()
    streaks.add(layer, sheet, motion_of(place, before, after), blur, frame)    # each painted layer
    streaks.lay(target, frame)                     # over what paint makes of it without blur

The formulas are the engine's (docs/reference/decomposition-folder.md, edits/finish.json): light is
averaged over places that the layer's coordinates pass through while the shutter is open. Only to be
used where Blender draws.
"""

from dataclasses import dataclass

import gpu
import numpy as np

from . import preview_shader
from .preview_shader import Frame, Layer, Rectangles

NEAREST = 64
"""pixels within which a pixel without motion of its own takes that of another"""

# A layer's paint as light, texel by texel, so that each is decoded once and not at every look
_SHEET = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 size = textureSize(learned, 0);
  vec3 c = stored(texelFetch(learned, at, 0).rgb, learned_form);
  vec3 change = texel(at, size);
  vec4 alone = paint_alone(at, size);
  if (is_over != 0) {
    vec3 straight = alone.a > 0.0 ? alone.rgb / alone.a : vec3(0.0);
    result = vec4(alone.a * decode(straight), alone.a);
    return;
  }
  vec3 light = decode(c + change) - decode(c);
  result = vec4(mix(light, vec3(0.0), vec3(equal(change, vec3(0.0)))), alone.a);
}
"""

# Towards the frame before in x and y, towards the one after in z and w; UNKNOWN in neither
_UNKNOWN = """
#define UNKNOWN 1e9
"""
_STEPS = """
int part_of(vec2 uv)
{
  vec2 at = vec2(uv.x, 1.0 - uv.y);
  int found = 0;
  float least = 1e30;
  for (int n = 0; n < parts; n++) {
    vec4 box = texelFetch(boxes, ivec2(n, 0), 0);
    vec2 beside = max(max(box.xy - at, at - box.zw), vec2(0.0));
    float far = dot(beside, beside);
    if (far < least) {
      least = far;
      found = n;
    }
  }
  return found;
}

void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec3 own = texelFetch(place, at, 0).xyz;
  vec3 earlier = texelFetch(before, at, 0).xyz;
  vec3 later = texelFetch(after, at, 0).xyz;
  bool came = has_before != 0 && own.z > 0.0 && earlier.z > 0.0;
  bool goes = has_after != 0 && own.z > 0.0 && later.z > 0.0;
  came = came && part_of(own.xy) == part_of(earlier.xy);
  goes = goes && part_of(own.xy) == part_of(later.xy);
  vec2 first = came ? own.xy - earlier.xy : later.xy - own.xy;
  vec2 second = goes ? later.xy - own.xy : own.xy - earlier.xy;
  result = came || goes ? vec4(first, second) : vec4(UNKNOWN);
}
"""

# The nearest pixel whose motion is known, by jump flooding: from far to near, each pixel takes the
# best that those around it have found
_FLOOD = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  ivec2 size = textureSize(seeds, 0);
  if (jump == 0) {
    bool known = texelFetch(seeds, at, 0).x < UNKNOWN;
    result = known ? vec4(vec2(at), 0.0, 1.0) : vec4(-1.0, -1.0, 0.0, 1.0);
    return;
  }
  vec2 best = texelFetch(seeds, at, 0).xy;
  if (best != vec2(at)) {
    float least = best.x < 0.0 ? 1e9 : dot(best - vec2(at), best - vec2(at));
    for (int y = -1; y <= 1; y++) {
      for (int x = -1; x <= 1; x++) {
        ivec2 near = at + jump * ivec2(x, y);
        if (all(greaterThanEqual(near, ivec2(0))) && all(lessThan(near, size))) {
          vec2 seed = texelFetch(seeds, near, 0).xy;
          float far = dot(seed - vec2(at), seed - vec2(at));
          if (seed.x >= 0.0 && far < least) {
            least = far;
            best = seed;
          }
        }
      }
    }
  }
  result = vec4(best, 0.0, 1.0);
}
"""

_FILL = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec2 seed = texelFetch(seeds, at, 0).xy;
  bool within = seed.x >= 0.0 && distance(seed, vec2(at)) <= float(nearest);
  result = within ? texelFetch(motion, ivec2(seed), 0) : vec4(0.0);
}
"""

# Light that all samples add, and how long the longest streak is, in texels, 1 at the most
_STREAK = """
vec4 on_sheet(vec2 uv)
{
  ivec2 last = textureSize(sheet, 0) - 1;
  vec2 at = uv * vec2(last + 1) - 0.5;
  vec2 low = floor(at);
  vec2 part = at - low;
  ivec2 a = clamp(ivec2(low), ivec2(0), last);
  ivec2 b = clamp(ivec2(low) + 1, ivec2(0), last);
  vec4 below = mix(texelFetch(sheet, a, 0), texelFetch(sheet, ivec2(b.x, a.y), 0), part.x);
  vec4 above = mix(texelFetch(sheet, ivec2(a.x, b.y), 0), texelFetch(sheet, b, 0), part.x);
  return mix(below, above, part.y);
}

void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 sum = texelFetch(below, at, 0);
  vec4 uva = texelFetch(place, at, 0);
  float matte = is_over != 0 ? uva.w : uva.z;
  if (visibility * matte > 0.0) {
    vec4 step = texelFetch(motion, at, 0);
    vec2 size = vec2(textureSize(sheet, 0));
    float far = shutter * max(length(step.xy * size), length(step.zw * size));
    int looks = far > 0.0 ? samples : 1;
    vec4 paint = vec4(0.0);
    for (int k = 0; k < looks; k++) {
      float time = far > 0.0 ? shutter * ((float(k) + 0.5) / float(samples) - 0.5) : 0.0;
      paint += on_sheet(uva.xy + time * (time > 0.0 ? step.zw : step.xy));
    }
    paint /= float(looks);
    vec3 shade = vec3(1.0) + relight * (texelFetch(light, at, 0).rgb - vec3(1.0));
    vec3 share = decode(shade) * paint.rgb;
    if (is_over != 0) {
      share -= paint.a * decode(plate_colour());
    }
    sum = vec4(sum.rgb + visibility * matte * share, max(sum.a, min(far, 1.0)));
  }
  result = sum;
}
"""

# To be blended by its alpha over what stands still
_MOVES = """
void main()
{
  vec4 streak = texelFetch(streaks, ivec2(gl_FragCoord.xy), 0);
  vec3 base = plate_colour();
  vec3 moves = encode(decode(base) + streak.rgb);
  result = vec4(mix(moves, base, vec3(equal(streak.rgb, vec3(0.0)))), streak.a);
}
"""


@dataclass(frozen=True)
class Blur:
    """The shutter's opening in frames, and at how many times in it paint is looked at."""

    shutter: float
    samples: int


@dataclass
class Motion:
    """What `motion_of` makes; it is alive as long as its targets are."""

    target: gpu.types.GPUOffScreen
    parts: list
    """what it was made of: the graphics card may be at work on it still"""

    @property
    def texture(self) -> gpu.types.GPUTexture:
        """How far places move in a frame's time, from the frame before and to the one after."""
        return self.target.texture_color


def motion_of(place, before, after, parts=()) -> Motion:
    """The motion of a layer's places, of textures with its own mattes in the frame and in those
    before and after it; None beyond the clip.

    Where the layer does not show in one of the two, it moves on as it comes from the other; where
    it shows in neither, as the nearest pixel does. Where another of the layer's `parts` is, boxes
    of the texture, this one does not show.
    """
    size, made = (place.width, place.height), _shaders()
    steps, filled, *seeds = (gpu.types.GPUOffScreen(*size, format="RGBA32F") for _ in range(4))
    shader = made["steps"]
    shader.bind()
    for name, texture in (("place", place), ("before", before), ("after", after)):
        shader.uniform_sampler(name, texture or place)
    boxes = place
    if parts:
        boxes = preview_shader.from_numpy(np.array([parts], np.float32))
    shader.uniform_sampler("boxes", boxes)
    shader.uniform_int("parts", len(parts))
    shader.uniform_int("has_before", int(before is not None))
    shader.uniform_int("has_after", int(after is not None))
    preview_shader.fill(shader, "NONE", steps)
    source, jump = steps, 0
    while True:
        shader = made["flood"]
        shader.bind()
        shader.uniform_sampler("seeds", source.texture_color)
        shader.uniform_int("jump", jump)
        preview_shader.fill(shader, "NONE", seeds[0])
        source = seeds[0]
        seeds.reverse()
        if jump == 1:
            break
        jump = jump // 2 if jump else NEAREST
    shader = made["fill"]
    shader.bind()
    shader.uniform_sampler("seeds", source.texture_color)
    shader.uniform_sampler("motion", steps.texture_color)
    shader.uniform_int("nearest", NEAREST)
    preview_shader.fill(shader, "NONE", filled)
    return Motion(filled, [steps, *seeds, place, before, after, boxes])


@dataclass
class LightSheet:
    """A layer's paint as light."""

    adds: gpu.types.GPUOffScreen
    """what it adds to the texture, and its opacity"""
    over: gpu.types.GPUOffScreen | None
    """the paint alone, premultiplied, where the layer has edges beyond its matte"""


def sheet_of(
    layer: Layer,
    wants_over: bool,
    before: LightSheet | None = None,
    region: Rectangles | None = None,
) -> LightSheet:
    """What is painted on a layer, compared with what was learned; `place` and `light` are not
    looked at.

    before, region: one that is right but for these texels, which are made anew in it.
    """
    size = layer.learned.width, layer.learned.height
    made = [before.adds, before.over][: 1 + wants_over] if before else []
    while len(made) <= wants_over:
        made.append(gpu.types.GPUOffScreen(*size, format="RGBA32F"))
    for is_over, target in enumerate(made):
        shader = _shaders()["sheet"]
        shader.bind()
        for name in ("edit", "learned"):
            shader.uniform_sampler(name, getattr(layer, name))
            shader.uniform_int(f"{name}_form", getattr(layer, f"{name}_form"))
        shader.uniform_float("dead_zone", layer.dead_zone)
        shader.uniform_int("is_full", 0)
        shader.uniform_int("is_over", is_over)
        preview_shader.fill(shader, "NONE", target, region)
    return LightSheet(made[0], made[1] if wants_over else None)


class Streaks:
    """The light of all layers' paint while the shutter is open; two pictures of 32 bits, each pass
    from the one to the other.
    """

    def __init__(self, width: int, height: int):
        self._targets = [gpu.types.GPUOffScreen(width, height, format="RGBA32F") for _ in range(2)]

        self._region: Rectangles | None = None

    def begin(self, region: Rectangles | None = None) -> None:
        """region: what is made up to `lay`, the rest is not."""
        self._region = region
        with self._targets[0].bind():
            gpu.state.active_framebuffer_get().clear(color=(0, 0, 0, 0))

    def add(
        self, layer: Layer, sheet: LightSheet, motion: Motion, blur: Blur, frame: Frame
    ) -> None:
        """Add what is painted on a layer. `frame`: what paint is laid over beyond its matte."""
        for is_over, painted in enumerate((sheet.adds, sheet.over)):
            if painted is None:
                continue
            shader = _shaders()["streak"]
            shader.bind()
            for name, texture in (
                ("below", self._targets[0].texture_color),
                ("sheet", painted.texture_color),
                ("place", layer.place),
                ("light", layer.light),
                ("motion", motion.texture),
            ):
                shader.uniform_sampler(name, texture)
            shader.uniform_float("visibility", layer.visibility)
            shader.uniform_float("relight", layer.relight)
            shader.uniform_float("shutter", blur.shutter)
            shader.uniform_int("samples", blur.samples)
            shader.uniform_int("is_over", is_over)
            preview_shader.hand(shader, frame)
            preview_shader.fill(shader, "NONE", self._targets[1], self._region)
            self._targets.reverse()

    def lay(self, target: gpu.types.GPUOffScreen, base: Frame) -> None:
        """Blend `base` with its paint that moves over the same that stands still."""
        shader = _shaders()["moves"]
        shader.bind()
        shader.uniform_sampler("streaks", self._targets[0].texture_color)
        preview_shader.hand(shader, base)
        preview_shader.fill(shader, "ALPHA", target, self._region)


def _shaders() -> dict[str, gpu.types.GPUShader]:
    """The shaders by name, compiled on first use and freed with those of the preview."""
    made = preview_shader.shaders()
    if "blur sheet" not in made:
        compiled, curves = preview_shader.compiled, preview_shader.ENCODE + preview_shader.DECODE
        of_frame = dict.fromkeys(("is_linear", "is_premultiplied"), "INT")
        forms = dict.fromkeys(("edit_form", "learned_form", "is_full", "is_over"), "INT")
        amounts = dict.fromkeys(("visibility", "relight", "shutter"), "FLOAT")
        numbers = {**dict.fromkeys(("samples", "is_over"), "INT"), **of_frame}
        made["blur sheet"] = compiled(
            curves + preview_shader.TEXELS + _SHEET,
            ("edit", "learned"),
            {**forms, "dead_zone": "FLOAT"},
        )
        made["blur steps"] = compiled(
            _UNKNOWN + _STEPS,
            ("place", "before", "after", "boxes"),
            dict.fromkeys(("has_before", "has_after", "parts"), "INT"),
        )
        made["blur flood"] = compiled(_UNKNOWN + _FLOOD, ("seeds",), {"jump": "INT"})
        made["blur fill"] = compiled(_FILL, ("seeds", "motion"), {"nearest": "INT"})
        made["blur streak"] = compiled(
            curves + preview_shader.PLATE + _STREAK,
            ("below", "sheet", "place", "light", "motion", "frame"),
            {**numbers, **amounts},
        )
        made["blur moves"] = compiled(
            curves + preview_shader.PLATE + _MOVES, ("streaks", "frame"), of_frame
        )
    return {name.removeprefix("blur "): made[name] for name in made if name.startswith("blur ")}
