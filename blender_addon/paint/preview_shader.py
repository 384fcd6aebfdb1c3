"""The picture of a frame, made by Blender's `gpu` module with the formulas of nodes.py.

One pass lays down the frame (delta) or black (full); one pass a layer adds its share; of a plate
with alpha one more lays the picture over black, as the Sequencer shows it where nothing lies below.
Values are display-encoded and not clamped, in 32-bit floats, so a pixel without paint stays as
shot. A pass takes six textures at most, and every graphics card has more; so there may be any
number of layers.

    picture = Picture(width, height)
    picture.begin(Frame(frame_texture, is_linear=False), mode="delta")
    picture.add(Layer(edit, learned, place, light), mode="delta")
    picture.end()
    picture.texture                     # to draw, or picture.read() for numpy

What of a picture has not changed need not be drawn again: `begin` takes the rectangles that have.

Only to be used where Blender draws, or in the background after `start_in_background`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import bpy
import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ..blender import compat
from ..blender.pixels import is_light

_VERTEX = """
void main()
{
  gl_Position = vec4(pos, 0.0, 1.0);
}
"""

ENCODE = """
vec3 encode(vec3 linear)
{
  vec3 curve = 1.055 * pow(max(linear, vec3(0.0031308)), vec3(1.0 / 2.4)) - 0.055;
  return mix(curve, linear * 12.92, vec3(lessThanEqual(linear, vec3(0.0031308))));
}
"""

DECODE = """
vec3 decode(vec3 colour)
{
  vec3 curve = pow((max(colour, vec3(0.04045)) + 0.055) / 1.055, vec3(2.4));
  return mix(curve, colour / 12.92, vec3(lessThanEqual(colour, vec3(0.04045))));
}
"""

ENCODED, LIGHT, BYTES, RAW_BYTES = range(4)  # what a texture's colours are; BYTES come as light
PLATE = """
vec3 plate_colour()
{
  vec4 plate = texelFetch(frame, ivec2(gl_FragCoord.xy), 0);
  vec3 colour = is_premultiplied != 0 && plate.a != 0.0 ? plate.rgb / plate.a : plate.rgb;
  return is_linear != 0 ? encode(colour) : colour;
}
"""

# Three bytes in a float, top row first
_BYTES = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  int whole = int(texelFetch(plate, ivec2(at.x, textureSize(plate, 0).y - 1 - at.y), 0).r);
  ivec3 bytes = ivec3(whole & 255, (whole >> 8) & 255, whole >> 16);
  result = vec4(vec3(bytes) / 255.0, 1.0);
}
"""

_FRAME = """
void main()
{
  result = vec4(plate_colour(), 1.0);
}
"""

_BLACK = """
void main()
{
  result = vec4(0.0, 0.0, 0.0, 1.0);
}
"""

# A premultiplied plate's light without opacity is no paint's to change. Integers are clamped before
# they are seen through the alpha, as their files will be
_OVER_BLACK = """
void main()
{
  ivec2 at = ivec2(gl_FragCoord.xy);
  vec4 plate = texelFetch(frame, at, 0);
  vec3 colour = texelFetch(painted, at, 0).rgb;
  vec3 light = plate.a * decode(is_linear != 0 ? colour : clamp(colour, 0.0, 1.0));
  if (is_premultiplied != 0 && plate.a == 0.0) {
    light = is_linear != 0 ? plate.rgb : decode(plate.rgb);
  }
  result = vec4(encode(light), 1.0);
}
"""

# Blender hands on the colours of an image as scene-linear light where its space is not Non-Color.
# How exactly a graphics card takes bytes to light is its own affair (Mesa's processor: to 1/255),
# so they are made bytes again
STORED_COLOURS = f"""
#define ENCODED {ENCODED}
#define LIGHT {LIGHT}
#define RAW_BYTES {RAW_BYTES}

vec3 stored(vec3 colour, int form)
{{
  if (form == ENCODED) {{
    return colour;
  }}
  vec3 encoded = form == RAW_BYTES ? colour : encode(colour);
  return form == LIGHT ? encoded : round(encoded * 255.0) / 255.0;
}}
"""

# Images of Blender have their bottom row first, as v goes; so do `place` and `light` here
_TEXELS = """
vec3 texel(ivec2 at, ivec2 size)
{
  ivec2 inside = clamp(at, ivec2(0), size - 1);
  vec3 c = stored(texelFetch(learned, inside, 0).rgb, learned_form);
  vec4 e = texelFetch(edit, inside, 0);
  vec3 paint = stored(e.rgb, edit_form) - c;
  if (dead_zone > 0.0) {
    float largest = max(max(abs(paint.r), abs(paint.g)), abs(paint.b));
    paint *= clamp(largest / dead_zone - 1.0, 0.0, 1.0);
  }
  return e.a * paint + (is_full != 0 ? c : vec3(0.0));
}

// The paint alone, premultiplied, with its opacity
vec4 paint_alone(ivec2 at, ivec2 size)
{
  ivec2 inside = clamp(at, ivec2(0), size - 1);
  vec3 change = texel(at, size);
  bool lies = any(notEqual(change, vec3(0.0)));
  float opacity = lies ? texelFetch(edit, inside, 0).a : 0.0;
  return vec4(change + opacity * stored(texelFetch(learned, inside, 0).rgb, learned_form), opacity);
}
"""

TEXELS = STORED_COLOURS + _TEXELS

_LAYER = """
void main()
{
  ivec2 pixel = ivec2(gl_FragCoord.xy);
  vec4 uva = texelFetch(place, pixel, 0);
  if (uva.z == 0.0 && uva.w == 0.0) {
    discard;  // the sum stays as it is, and where a program draws the rest is left out
  }
  vec3 shade = vec3(1.0) + relight * (texelFetch(light, pixel, 0).rgb - vec3(1.0));
  ivec2 size = textureSize(learned, 0);
  vec2 at = uva.xy * vec2(size) - 0.5;
  vec2 low = floor(at);
  vec2 part = at - low;
  ivec2 first = ivec2(low);
  vec3 below = mix(texel(first, size), texel(first + ivec2(1, 0), size), part.x);
  vec3 above = mix(texel(first + ivec2(0, 1), size), texel(first + ivec2(1, 1), size), part.x);
  vec3 share = visibility * uva.z * shade * mix(below, above, part.y);
  if (uva.w > 0.0) {  // beyond the layer's own matte paint is laid over the frame
    vec4 lower = mix(paint_alone(first, size), paint_alone(first + ivec2(1, 0), size), part.x);
    vec4 upper = mix(paint_alone(first + ivec2(0, 1), size),
                     paint_alone(first + ivec2(1, 1), size), part.x);
    vec4 paint = mix(lower, upper, part.y);
    share += visibility * uva.w * (shade * paint.rgb - paint.a * plate_colour());
  }
  // Layers over the frame take its place: what none covers, as in a garbage matte, is left of it
  result = vec4(over_frame != 0 ? share - uva.z * plate_colour() : share, 1.0);
}
"""

_SCREEN_VERTEX = """
void main()
{
  at = 0.5 * pos + 0.5;
  gl_Position = matrix * vec4(corner + at * extent, 0.0, 1.0);
}
"""

# To a region of the window, which takes light and not display values. Pixels as large as the
# screen's, and enlarged ones, stay squares, as the Sequencer shows its own. The cube is that of
# view_transform.py, its layers of blue one above the other.
_SCREEN = """
vec3 in_cube(vec3 colour)
{
  int side = textureSize(cube, 0).x;
  vec3 at = colour * float(side - 1);
  ivec3 low = min(ivec3(at), ivec3(side - 2));
  vec3 part = at - vec3(low);
  vec3 sum = vec3(0.0);
  for (int corner = 0; corner < 8; corner++) {
    ivec3 up = ivec3(corner & 1, (corner >> 1) & 1, corner >> 2);
    vec3 near = mix(1.0 - part, part, vec3(up));
    ivec3 place = low + up;
    vec3 shown = texelFetch(cube, ivec2(place.r, place.g + side * place.b), 0).rgb;
    sum += near.r * near.g * near.b * shown;
  }
  return sum;
}

void main()
{
  vec2 size = vec2(textureSize(picture, 0));
  vec2 texels = fwidth(at * size);
  bool squares = max(texels.x, texels.y) < 1.001;
  vec3 nearest = texelFetch(picture, ivec2(min(at * size, size - 1.0)), 0).rgb;
  vec3 colour = clamp(squares ? nearest : texture(picture, at).rgb, 0.0, 1.0);
  if (has_cube != 0) {
    colour = in_cube(colour);
  }
  result = vec4(is_power != 0 ? pow(colour, vec3(2.2)) : decode(colour), 1.0);
}
"""


@dataclass
class Layer:
    """A layer's textures and amounts for one frame."""

    edit: gpu.types.GPUTexture  # RGBA, straight alpha, as large as `learned`
    learned: gpu.types.GPUTexture
    place: gpu.types.GPUTexture
    """u, v, alpha of each pixel and, in delta, what paint has beyond that; bottom row first"""
    light: gpu.types.GPUTexture  # residual of each pixel, bottom row first
    visibility: float = 1.0
    relight: float = 1.0
    dead_zone: float = 0.0  # paint fades in from this difference to twice of it
    edit_form: int = ENCODED  # or LIGHT, BYTES or RAW_BYTES
    learned_form: int = ENCODED

    @property
    def as_learned(self) -> "Layer":
        """The same without paint."""
        return replace(self, edit=self.learned, edit_form=self.learned_form)


@dataclass
class Frame:
    """The clip's frame as it is stored, linear ones in Rec.709; bottom row first."""

    texture: gpu.types.GPUTexture
    is_linear: bool = False
    alpha: str = "none"  # or "straight" or "premultiplied"


Rectangles = list[tuple[int, int, int, int]]
"""left, bottom, right and top of parts of a target that lie apart, pixels from the lower left"""


class Picture:
    """A frame that is put together on the graphics card, bottom row first."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self._target = gpu.types.GPUOffScreen(width, height, format="RGBA32F")
        self._over_black: gpu.types.GPUOffScreen | None = None  # of plates with alpha
        self._frame: Frame | None = None
        self._region: Rectangles | None = None
        self._shaders = shaders()

    @property
    def _shown(self) -> gpu.types.GPUOffScreen:
        return self._over_black or self._target

    @property
    def painted(self) -> gpu.types.GPUOffScreen:
        """What is being put together, to be drawn over before it has ended."""
        return self._target

    @property
    def target(self) -> gpu.types.GPUOffScreen:
        """What is shown, to be drawn over once it has ended."""
        return self._shown

    @property
    def texture(self) -> gpu.types.GPUTexture:
        """The picture, display-encoded and not clamped."""
        return self._shown.texture_color

    def begin(
        self,
        frame: Frame | None,
        mode: str = "delta",
        over_frame: bool = False,
        region: Rectangles | None = None,
    ) -> None:
        """Start with the straight, encoded colours of `frame`, in mode "full" with black.

        In full mode it need not be given where it has no alpha, unless the frame is to show where
        no layer covers it (`over_frame`). region: what is made anew up to `end`, the rest stays.
        """
        self._frame, self._over_frame = frame, mode == "full" and over_frame
        self._region = region
        if mode == "full" and not over_frame:
            shader = self._shaders["black"]
            shader.bind()
        else:
            shader = self._frame_shader("frame")
        fill(shader, "NONE", self._target, region)

    def add(self, layer: Layer, mode: str = "delta") -> None:
        """Add a layer's paint ("delta"), or the painted layer ("full")."""
        shader = self._shaders["layer"]
        shader.bind()
        for name in ("edit", "learned", "place", "light"):
            shader.uniform_sampler(name, getattr(layer, name))
        for name in ("edit", "learned"):
            shader.uniform_int(f"{name}_form", getattr(layer, f"{name}_form"))
        shader.uniform_float("visibility", layer.visibility)
        shader.uniform_float("relight", layer.relight)
        shader.uniform_float("dead_zone", layer.dead_zone)
        shader.uniform_int("is_full", int(mode == "full"))
        shader.uniform_int("over_frame", int(self._over_frame))
        # Where no frame is wanted the shader still wants a texture
        hand(shader, self._frame or Frame(layer.learned))
        fill(shader, "ADDITIVE", self._target, self._region)

    def end(self) -> None:
        """Lay the picture of a plate with alpha over black."""
        if self._frame is None or self._frame.alpha == "none":
            return
        if self._over_black is None:
            size = self.width, self.height
            self._over_black = gpu.types.GPUOffScreen(*size, format="RGBA32F")
        shader = self._frame_shader("over_black")
        shader.uniform_sampler("painted", self._target.texture_color)
        fill(shader, "NONE", self._over_black, self._region)

    def read(self) -> np.ndarray:
        """[H, W, 3] float32, top row first."""
        buffer = self.texture.read()
        buffer.dimensions = self.height * self.width * 4  # Blender 4.5 hands numpy wrong strides
        pixels = np.array(buffer, np.float32)
        return pixels.reshape(self.height, self.width, 4)[::-1, :, :3]

    def free(self) -> None:
        self._target.free()
        if self._over_black is not None:
            self._over_black.free()

    def _frame_shader(self, name: str) -> gpu.types.GPUShader:
        """A shader that takes the frame, bound."""
        shader = self._shaders[name]
        shader.bind()
        hand(shader, self._frame)
        return shader


def fill(
    shader: gpu.types.GPUShader,
    blend: str,
    target: gpu.types.GPUOffScreen,
    region: Rectangles | None = None,
) -> None:
    """Draw the bound shader over all of `target`, or over a region of it."""
    before = gpu.state.depth_test_get()
    with target.bind():
        gpu.state.blend_set(blend)
        gpu.state.depth_test_set("NONE")  # which an empty Image Editor leaves on
        if region is None:
            _square(shader).draw(shader)
        elif region:
            _rectangles(shader, region, target.width, target.height).draw(shader)
        gpu.state.blend_set("NONE")
    gpu.state.depth_test_set(before)
    gpu.shader.unbind()  # Blender 5.2 crashes where a shader is freed while in use


def hand(shader: gpu.types.GPUShader, frame: Frame) -> None:
    """Give the bound shader the frame."""
    shader.uniform_sampler("frame", frame.texture)
    shader.uniform_int("is_linear", int(frame.is_linear))
    shader.uniform_int("is_premultiplied", int(frame.alpha == "premultiplied"))


def draw(
    picture: Picture,
    corner,
    width: float,
    height: float,
    power: bool,
    cube: gpu.types.GPUTexture | None = None,
) -> None:
    """Draw `picture` into the region that Blender is drawing; `corner` is the lower left one.

    power: whether the light goes to the screen by a power of 2.2, as in the Image Editor, and not
    by sRGB's curve. cube: the texture of a view transform (`cube_texture`); None shows the colours
    as they are.
    """
    shader = shaders()["screen"]
    shader.bind()
    matrix = gpu.matrix.get_projection_matrix() @ gpu.matrix.get_model_view_matrix()
    shader.uniform_float("matrix", matrix)
    shader.uniform_float("corner", corner)
    shader.uniform_float("extent", (width, height))
    shader.uniform_int("is_power", int(power))
    shader.uniform_int("has_cube", int(cube is not None))
    shader.uniform_sampler("picture", picture.texture)
    # Where no cube is wanted the shader still wants a texture
    shader.uniform_sampler("cube", picture.texture if cube is None else cube)
    _square(shader).draw(shader)
    gpu.shader.unbind()


def from_numpy(pixels: np.ndarray) -> gpu.types.GPUTexture:
    """A 32-bit texture of [H, W, C], top row first, C up to 4."""
    height, width, channels = pixels.shape
    data = np.zeros((height, width, 4), np.float32)
    data[..., :channels] = pixels[::-1]
    buffer = gpu.types.Buffer("FLOAT", data.size, data.ravel())
    return gpu.types.GPUTexture((width, height), format="RGBA32F", data=buffer)


def from_packed(plate: np.ndarray) -> gpu.types.GPUOffScreen:
    """A target that holds a plate of bytes, which `plate_file.packed_plate` has read."""
    height, width = plate.shape
    buffer = gpu.types.Buffer("FLOAT", plate.size, plate.ravel())
    texture = gpu.types.GPUTexture((width, height), format="R32F", data=buffer)
    target = gpu.types.GPUOffScreen(width, height, format="RGBA8")
    shader = shaders()["bytes"]
    shader.bind()
    shader.uniform_sampler("plate", texture)
    fill(shader, "NONE", target)
    return target


def cube_texture(cube: np.ndarray) -> gpu.types.GPUTexture:
    """The texture of a cube of colours, [side, side, side, 3] by blue, green and red."""
    side = len(cube)
    return from_numpy(cube.reshape(side * side, side, 3)[::-1])  # green and blue grow upwards


def from_image(image: bpy.types.Image) -> gpu.types.GPUTexture:
    """Blender's own texture of an image, with its newest paint and straight alpha.

    Values are as stored where the colour space is Non-Color, else scene-linear.
    """
    return gpu.texture.from_image(image)


def form_of(image: bpy.types.Image) -> int:
    """What the colours of `from_image` are: ENCODED, LIGHT or BYTES."""
    if not is_light(image):
        return ENCODED
    return LIGHT if image.is_float else BYTES


def kept(image: bpy.types.Image) -> tuple:
    """How the image's file is read: other values of it are other colours of the same file."""
    return image.colorspace_settings.name, image.alpha_mode, image.is_float


def problem() -> str:
    """Why there can be no preview, in words for the artist; "" where there can."""
    try:
        shaders()
    except (SystemError, RuntimeError, ValueError) as error:
        return f"no live preview, Blender's gpu module says: {str(error).splitlines()[0]}"
    return ""


_PROGRAMS = (
    "llvmpipe",
    "softpipe",
    "lavapipe",
    "swiftshader",
    "swrast",
    "software",
    "basic render",
)


def is_software() -> bool:
    """Whether a program does a graphics card's work; only where there can be a preview."""
    name = gpu.platform.renderer_get().lower()
    return any(program in name for program in _PROGRAMS)


def start_in_background() -> None:
    """Make the gpu module work without a window; it needs libEGL. RuntimeError where it fails."""
    forget_shaders()  # of a file opened before
    compat.start_gpu()
    if problem():
        raise RuntimeError(problem())


_made: dict[str, gpu.types.GPUShader] = {}


def shaders() -> dict[str, gpu.types.GPUShader]:
    """The shaders by name, compiled on first use."""
    if not _made:
        samplers = ("edit", "learned", "place", "light", "frame")
        amounts = dict.fromkeys(("visibility", "relight", "dead_zone"), "FLOAT")
        switches = ("is_full", "edit_form", "learned_form", "over_frame")
        of_frame = dict.fromkeys(("is_linear", "is_premultiplied"), "INT")
        rectangle = {"matrix": "MAT4", "corner": "VEC2", "extent": "VEC2"}
        inner = gpu.types.GPUStageInterfaceInfo("nvd_screen")
        inner.smooth("VEC2", "at")
        _made.update(
            black=compiled(_BLACK, (), {}),
            frame=compiled(ENCODE + PLATE + _FRAME, ("frame",), of_frame),
            bytes=compiled(_BYTES, ("plate",), {}),
            over_black=compiled(ENCODE + DECODE + _OVER_BLACK, ("frame", "painted"), of_frame),
            layer=compiled(
                ENCODE + PLATE + TEXELS + _LAYER,
                samplers,
                {**dict.fromkeys(switches, "INT"), **of_frame, **amounts},
            ),
            screen=compiled(
                DECODE + _SCREEN,
                ("picture", "cube"),
                {"is_power": "INT", "has_cube": "INT", **rectangle},
                _SCREEN_VERTEX,
                inner,
            ),
        )
    return _made


def forget_shaders() -> None:
    """Free them; they do not outlive a file or the extension."""
    _made.clear()
    for forget in when_forgotten:
        forget()


when_forgotten: list[Callable[[], None]] = []
"""called where shaders are freed, by those who have more of them"""


def compiled(
    fragment: str,
    samplers: tuple[str, ...],
    constants: dict[str, str],
    vertex: str = _VERTEX,
    inner: gpu.types.GPUStageInterfaceInfo | None = None,
) -> gpu.types.GPUShader:
    """constants: types by name. inner: what the vertex shader hands to the fragment shader."""
    info = gpu.types.GPUShaderCreateInfo()
    for slot, name in enumerate(samplers):
        info.sampler(slot, "FLOAT_2D", name)
    for name, kind in constants.items():
        info.push_constant(kind, name)
    if inner is not None:
        info.vertex_out(inner)
    info.vertex_in(0, "VEC2", "pos")
    info.fragment_out(0, "VEC4", "result")
    info.vertex_source(vertex)
    info.fragment_source(fragment)
    return gpu.shader.create_from_info(info)


def _square(shader):
    """All of a target, as two triangles."""
    places = [(-1, -1), (1, -1), (-1, 1), (1, 1)]
    return batch_for_shader(shader, "TRI_STRIP", {"pos": places})


def _rectangles(shader, region: Rectangles, width: int, height: int):
    """The same of a region: its edges lie between pixels, so that each is drawn once."""
    corners = np.array(region, np.float64) / [width, height, width, height] * 2 - 1
    left, bottom, right, top = corners.T
    across = np.stack([left, right, left, left, right, right], -1)
    up = np.stack([bottom, bottom, top, top, bottom, top], -1)
    places = np.stack([across, up], -1).reshape(-1, 2)
    return batch_for_shader(shader, "TRIS", {"pos": places.astype(np.float32)})
