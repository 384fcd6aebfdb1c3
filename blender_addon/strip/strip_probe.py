"""What a movie or image strip shows, asked of Blender itself: its pictures are replaced by numbered
ones, and the Sequencer rendered.

Blender tells Python where a strip's retiming keys are, but not which picture they hold, and its
rounding differs between versions and kinds of strips. A number is written as 16 black and white
squares between a white and a black one, so a frame takes a millisecond or two, and a picture that
something else has changed is told from a number; a movie keeps its rate and length.
"""

import struct
import tempfile
import zlib
from fractions import Fraction
from pathlib import Path

import bpy
import numpy as np

from ..blender import compat, strip_identity
from ..blender.pixels import read_pixels
from ..errors import AddonError

BITS = 16
SQUARES = BITS + 2
REMEDY = "put the strip into a new scene, or set it to normal speed"
SIDE = 4  # pixels of a square; no picture of Blender's is smaller


def ask(strip, frames: range) -> dict[int, int]:
    """The picture that `strip` shows at each of the timeline's `frames`, also where it is trimmed
    off: counted from 0 among all of its movie's pictures, or of its image elements.

    Renders; so not to be called where Blender draws or changes frames. AddonError for a strip in
    a meta strip, and where Blender's pictures show no numbers.
    """
    if strip not in list(compat.strips(strip.id_data)):
        raise AddonError(f"{strip.name} lies in a meta strip", "take it out of the meta strip")
    with tempfile.TemporaryDirectory(prefix="nvd-strip-", ignore_cleanup_errors=True) as folder:
        scene = strip.id_data.copy()
        strip_identity.forget(compat.all_strips(scene))
        try:
            alone, later = _alone(scene, strip.name), max(0, -frames.start)
            compat.move(alone, later)  # Blender renders no frame before 0
            _number_pictures(alone, Path(folder))
            _set_up(scene, range(frames.start + later, frames.stop + later))
            # An animation, because of a scene in no window Blender renders stills of another frame
            scene.render.filepath = str(Path(folder) / "shown_######")
            try:
                bpy.ops.render.render(animation=True, scene=scene.name)
            except RuntimeError as error:
                problem = f"Blender could not render what {strip.name} shows ({error})"
                raise AddonError(problem.replace("\n", " "), REMEDY) from error
            path = scene.render.frame_path
            return {frame: _number(Path(path(frame=frame + later))) for frame in frames}
        finally:
            bpy.data.scenes.remove(scene)  # closes the movie, which Windows would not delete


def _alone(scene: bpy.types.Scene, name: str):
    """Leave in `scene` the strip `name` alone, untrimmed, shown as it is."""
    strips = compat.make_strips(scene)
    while other := next((other for other in strips if other.name != name), None):
        strips.remove(other)  # the effects on it go along
    strip = strips[name]
    scene.sequence_editor.channels[strip.channel].mute = False
    for modifier in strip.modifiers:
        modifier.mute = True
    strip.mute, strip.blend_type, strip.blend_alpha = False, "REPLACE", 1.0
    strip.color_saturation = strip.color_multiply = 1.0
    strip.use_flip_x = strip.use_flip_y = strip.use_proxy = strip.use_multiview = False
    strip.crop.min_x = strip.crop.max_x = strip.crop.min_y = strip.crop.max_y = 0
    place = strip.transform
    place.offset_x = place.offset_y = place.rotation = 0
    place.scale_x = place.scale_y = 1.0
    strip.colorspace_settings.name = "sRGB"
    compat.trim(strip, 0, 0)
    return strip


def _number_pictures(strip, folder: Path) -> None:
    count = _pictures_of(strip) if strip.type == "MOVIE" else len(strip.elements)
    if count > 1 << BITS:
        remedy = "cut the strip's source into parts"
        raise AddonError(f"{strip.name} has more than {1 << BITS} pictures", remedy)
    if strip.type == "MOVIE":
        movie, rate = folder / "numbers.y4m", Fraction(strip.fps).limit_denominator(100_000)
        _write_movie(movie, count, rate)
        strip.filepath, strip.stream_index = str(movie), 0
        return
    strip.directory = f"{folder}/"
    for number, element in enumerate(strip.elements):
        element.filename = f"{number:06d}.png"
        _write_png(folder / element.filename, number)


def _pictures_of(strip) -> int:
    """How many pictures the strip's file holds, hard cuts and speeds aside."""
    path = bpy.path.abspath(strip.filepath)
    try:
        clip = bpy.data.movieclips.load(path)
    except RuntimeError as error:
        remedy = "find the strip's files again (File, External Data)"
        raise AddonError(f"{path} cannot be read", remedy) from error
    count = clip.frame_duration
    bpy.data.movieclips.remove(clip)
    return count


def _write_movie(path: Path, count: int, rate: Fraction) -> None:
    """An uncompressed YUV4MPEG2 movie of `count` pictures, each showing its number in binary."""
    grey = b"\x80" * (2 * SQUARES * SIDE * SIDE)
    with path.open("wb") as file:
        size = f"W{SQUARES * SIDE} H{SIDE} F{rate.numerator}:{rate.denominator}"
        file.write(f"YUV4MPEG2 {size} Ip A1:1 C444\n".encode("ascii"))
        for number in range(count):
            file.write(b"FRAME\n" + _row(number, b"\x10", b"\xeb") * SIDE + grey)


def _row(number: int, black: bytes, white: bytes) -> bytes:
    """A row of a picture: a white square, the number's bits from the lowest on, a black one."""
    bits = (white if number >> bit & 1 else black for bit in range(BITS))
    return b"".join(square * SIDE for square in (white, *bits, black))


def _write_png(path: Path, number: int) -> None:
    """A grey picture that shows `number` in binary."""
    row = _row(number, b"\x00", b"\xff")
    header = struct.pack(">2I5B", SQUARES * SIDE, SIDE, 8, 0, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress((b"\0" + row) * SIDE)), (b"IEND", b"")
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        for kind, data in parts:
            file.write(struct.pack(">I", len(data)) + kind + data)
            file.write(struct.pack(">I", zlib.crc32(kind + data)))


def _set_up(scene: bpy.types.Scene, frames: range) -> None:
    """Render `frames` of the sequencer as the pictures' own values, at their size."""
    scene.animation_data_clear()
    scene.frame_start, scene.frame_end, scene.frame_step = frames[0], frames[-1], 1
    scene.display_settings.display_device = "sRGB"
    view = scene.view_settings
    view.view_transform, view.look = "Raw", "None"
    view.exposure, view.gamma, view.use_curve_mapping = 0, 1, False
    if hasattr(view, "use_white_balance"):  # not in 4.2
        view.use_white_balance = False
    scene.sequencer_colorspace_settings.name = "sRGB"
    render = scene.render
    render.use_multiview = False
    render.resolution_x, render.resolution_y = SQUARES * SIDE, SIDE
    render.resolution_percentage, render.dither_intensity = 100, 0
    render.use_sequencer, render.use_border, render.use_stamp = True, False, False
    compat.output_kind(render.image_settings, "PNG")
    render.image_settings.color_mode = "BW"
    render.image_settings.color_management = "FOLLOW_SCENE"


def _number(path: Path) -> int:
    """The number that a rendered picture shows; AddonError where it is not clearly one."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    squares = read_pixels(image)[SIDE // 2, SIDE // 2 :: SIDE, 0]
    bpy.data.images.remove(image)
    clear = np.all((squares < 0.2) | (squares > 0.8))
    if len(squares) != SQUARES or not clear or squares[0] < 0.5 or squares[-1] > 0.5:
        raise AddonError(
            "Blender does not show the strip's pictures as they are, so what it shows when cannot "
            "be told",
            REMEDY,
        )
    return sum(1 << bit for bit, square in enumerate(squares[1:-1]) if square > 0.5)
