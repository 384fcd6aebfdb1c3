"""Between which places of its texture a layer is looked at in each block of the picture.

    bounds_of(place)                        # [rows, columns, 4], for damage.py
    bounds_of(place, motion, shutter)       # of a layer whose paint is blurred

By the graphics card, which has the places with the edges of paint. Only to be used where Blender
draws.
"""

import gpu
import numpy as np

from . import damage, preview_shader

# What a layer does not show at adds nothing; see the shaders of layers and of streaks
_BOUNDS = """
void main()
{
  ivec2 first = BLOCK * ivec2(gl_FragCoord.xy);
  ivec2 last = min(first + BLOCK, textureSize(place, 0));
  vec4 box = vec4(1e9, 1e9, -1e9, -1e9);
  for (int y = first.y; y < last.y; y++) {
    for (int x = first.x; x < last.x; x++) {
      vec4 uva = texelFetch(place, ivec2(x, y), 0);
      if (uva.z != 0.0 || uva.w != 0.0) {
        vec2 least = uva.xy;
        vec2 most = uva.xy;
        if (shutter > 0.0) {
          vec4 far = 0.5 * shutter * texelFetch(motion, ivec2(x, y), 0);
          least = min(least, min(uva.xy - far.xy, uva.xy + far.zw));
          most = max(most, max(uva.xy - far.xy, uva.xy + far.zw));
        }
        box = vec4(min(box.xy, least), max(box.zw, most));
      }
    }
  }
  result = box;
}
"""


def bounds_of(
    place: gpu.types.GPUTexture, motion: gpu.types.GPUTexture | None = None, shutter: float = 0.0
) -> np.ndarray:
    """Least u and v and largest u and v of what each block's pixels look at, float32 [rows,
    columns, 4], the lowest row first. Where the layer does not show the least are above the
    largest.

    motion, shutter: as streaks are made of them.
    """
    columns, rows = -(-place.width // damage.BLOCK), -(-place.height // damage.BLOCK)
    target = gpu.types.GPUOffScreen(columns, rows, format="RGBA32F")
    made = preview_shader.shaders()
    if "block bounds" not in made:
        source = f"#define BLOCK {damage.BLOCK}\n{_BOUNDS}"
        made["block bounds"] = preview_shader.compiled(
            source, ("place", "motion"), {"shutter": "FLOAT"}
        )
    shader = made["block bounds"]
    shader.bind()
    shader.uniform_sampler("place", place)
    shader.uniform_sampler("motion", motion or place)
    shader.uniform_float("shutter", shutter if motion is not None else 0.0)
    preview_shader.fill(shader, "NONE", target)
    buffer = target.texture_color.read()
    buffer.dimensions = rows * columns * 4  # Blender 4.5 hands numpy wrong strides
    bounds = np.array(buffer, np.float32).reshape(rows, columns, 4)
    target.free()
    return bounds
