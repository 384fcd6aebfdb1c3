"""The words of an entry as a picture, as large as they fit into it."""

import math
from pathlib import Path

import numpy as np
import OpenImageIO
from PIL import Image, ImageDraw, ImageFont

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading, there
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import check_file
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, entry_path

LARGEST = 4096
"""pixels along the longer side of such a picture"""
MOST_FONT_BYTES = 1 << 26
_PROBE = 100.0
"""size at which words are measured; they grow in proportion"""
_NO_LETTER = "\U0010ffff"
"""which no font has"""
_ROOM = 0.96
"""share of the picture that they may take across and down"""


def text_picture(shot: Shot, entry: Entry, width: int, height: int) -> np.ndarray:
    """RGBA uint16 [h, w, 4]: the entry's words in their colour, centred, transparent around.

    The picture has the shape of `width` x `height`, and that size where it is not above LARGEST.
    NvdError where the font cannot be read.
    """
    share = min(1.0, LARGEST / max(width, height))
    size = max(round(width * share), 1), max(round(height * share), 1)
    mask = Image.new("L", size, 0)
    lines = entry.text.strip("\n")
    if lines.strip():
        # some damage of a font shows only when the letter that has it is drawn
        with reading(entry.font or "", "the font", "choose another font's file: .ttf or .otf"):
            draw = ImageDraw.Draw(mask)
            font = _fitting(draw, lines, entry, shot, size)
            left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, font, align="center")
            place = (size[0] - left - right) / 2, (size[1] - top - bottom) / 2
            draw.multiline_text(place, lines, 255, font, align="center")
    picture = np.empty((size[1], size[0], 4), np.uint16)
    picture[..., :3] = np.rint(np.array(entry.colour) * 65535)
    picture[..., 3] = np.asarray(mask, np.uint16) * 257
    return picture


def text_mask(shot: Shot, entry: Entry, size: float) -> np.ndarray:
    """How the entry's words cover pixels, float32 [h, w] 0 to 1, at a font `size` in pixels.

    As large as they are, with a pixel of nothing around. NvdError as `text_picture`.
    """
    lines = entry.text.strip("\n")
    if not lines.strip():
        return np.zeros((1, 1), np.float32)
    with reading(entry.font or "", "the font", "choose another font's file: .ttf or .otf"):
        font = _font(shot, entry, size)
        _check_letters(font, entry)
        draw = ImageDraw.Draw(Image.new("L", (1, 1)))
        left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, font, align="center")
        wide, high = (min(math.ceil(b - a) + 2, LARGEST) for a, b in ((left, right), (top, bottom)))
        mask = Image.new("L", (wide, high), 0)
        place = 1 - left, 1 - top
        ImageDraw.Draw(mask).multiline_text(place, lines, 255, font, align="center")
    return np.asarray(mask, np.float32) / 255


def _fitting(
    draw: ImageDraw.ImageDraw, lines: str, entry: Entry, shot: Shot, size: tuple[int, int]
) -> ImageFont.FreeTypeFont:
    """The font at the largest size at which the words fit."""
    font = _font(shot, entry, _PROBE)
    _check_letters(font, entry)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, font, align="center")
    wide, high = max(right - left, 1), max(bottom - top, 1)
    best = _PROBE * min(size[0] * _ROOM / wide, size[1] * _ROOM / high)
    return _font(shot, entry, max(best, 1.0))


def _font(shot: Shot, entry: Entry, size: float) -> ImageFont.FreeTypeFont:
    if not entry.font:
        own = own_font()
        font = _opened(own, size) if own else ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise NvdError(
                f"the words of {entry.name} cannot be drawn",
                expected="Pillow with FreeType",
                found="Pillow without it",
                remedy="install Pillow from its wheels: pip install --force-reinstall pillow",
            )
        return font
    path = entry_path(shot, entry.font)
    check_file(path, MOST_FONT_BYTES)
    return _opened(path, size)


def own_font() -> Path | None:
    """Droid Sans, which OpenImageIO's wheels bring: Latin, Greek and Cyrillic letters."""
    path = Path(OpenImageIO.__file__).parent / "share/fonts/OpenImageIO/DroidSans.ttf"
    return path if there(path.is_file) else None


def _opened(path: Path, size: float) -> ImageFont.FreeTypeFont:
    with path.open("rb") as file:  # FreeType opens no name that Windows has beyond its code page
        return ImageFont.truetype(file, size, layout_engine=ImageFont.Layout.BASIC)


def _check_letters(font: ImageFont.FreeTypeFont, entry: Entry) -> None:
    """NvdError where the font draws an empty box for a letter."""
    box = _drawn(font, _NO_LETTER)
    lacking = [one for one in dict.fromkeys(entry.text) if not one.isspace()]
    lacking = [one for one in lacking if _drawn(font, one) == box]
    if lacking:
        raise NvdError(
            f"the font of {entry.name} lacks letters of its words",
            expected="a font that has them all",
            found=f"no {shown(' '.join(lacking[:10]))} in {entry.font or 'the built-in font'}",
            remedy="give a font that has them: nvd edits set SHOT NAME --font FILE.ttf",
        )


def _drawn(font: ImageFont.FreeTypeFont, letter: str) -> tuple:
    mask = font.getmask(letter)
    return mask.size, bytes(mask)
