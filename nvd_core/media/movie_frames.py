"""What a decoded frame of a movie says of its picture: colours, which way is up, what is lost."""

import struct

import av

from nvd_core.media.orientation import UPRIGHT, of_matrix
from nvd_core.media.picture import Picture

UNSPECIFIED, _BT709, _BT601 = 2, 1, 6  # AVColorSpace
_BT2020, _PQ, _HLG = 9, 16, 18
_MATRICES = (0, 1, 4, 5, 6, 7, 9)  # those that swscale computes; 0: RGB


def set_source_colours(frame: av.VideoFrame) -> None:
    """Note the YUV matrix of a frame that names none: BT.709 for HD sizes, BT.601 below.

    That is what players assume; swscale would take BT.601 for all. Matrices that it does not know
    are taken for BT.709.
    """
    if frame.format.is_rgb:
        return
    if frame.colorspace == UNSPECIFIED:
        hd = frame.width >= 1280 or frame.height > 576
        frame.colorspace = _BT709 if hd else _BT601
    elif frame.colorspace not in _MATRICES:
        frame.colorspace = _BT709


def display_matrix(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """The 9 numbers that say how a frame is to be shown, None where nothing does."""
    data = frame.side_data.get("DISPLAYMATRIX")
    return struct.unpack("=9i", bytes(data)[:36]) if data is not None else None


def orientation_of(frame: av.VideoFrame) -> int | None:
    """How a frame is to be shown, as EXIF counts; None for an odd angle."""
    matrix = display_matrix(frame)
    return UPRIGHT if matrix is None else of_matrix(matrix)


def colour_cautions(name: str, picture: Picture) -> list[str]:
    """What the user should know of a movie's colours where nothing else was said of them."""
    texts = []
    primaries, transfer, _, _ = picture.movie or (2, 2, 2, 0)
    curve = {_PQ: "PQ", _HLG: "HLG"}.get(transfer)
    if curve or primaries == _BT2020:
        space = " ".join(filter(None, ["BT.2020" if primaries == _BT2020 else "", curve]))
        texts.append(
            f"{name} is {space}: its values are used as they stand, so that textures look "
            "flat where they are shown as sRGB; rendered movies are tagged as it is"
        )
    return texts


def frame_cautions(name: str, frame: av.VideoFrame, picture: Picture) -> list[str]:
    """What of a movie is read otherwise than it says, or not carried, in words."""
    texts = []
    matrix = picture.movie[2] if picture.movie else UNSPECIFIED
    if not frame.format.is_rgb and matrix not in (*_MATRICES, UNSPECIFIED):
        texts.append(f"{name} has a colour matrix (number {matrix}) that is read as BT.709")
    lost = [
        kind
        for kind, key in (
            ("mastering display", "MASTERING_DISPLAY_METADATA"),
            ("light level", "CONTENT_LIGHT_LEVEL"),
            ("Dolby Vision", "DOVI_METADATA"),
            ("HDR10+", "DYNAMIC_HDR_PLUS"),
        )
        if frame.side_data.get(key) is not None
    ]
    if lost:
        texts.append(f"{name} has metadata of {', '.join(lost)} that rendered movies lack")
    return texts
