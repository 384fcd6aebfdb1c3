"""How deep frames are rendered and written for an output."""

from pathlib import Path

import numpy as np

from nvd_core.media.codecs import CODECS, DEFAULTS
from nvd_core.media.image_writing import rounded
from nvd_core.media.images import read_image
from nvd_core.runtime.errors import NvdError

_DEPTHS = {
    ".png": (8, 16),
    ".tif": (8, 16, "float"),
    ".tiff": (8, 16, "float"),
    ".dpx": (8, 10, 16),
    ".exr": (8, 16, "half", "float"),
    ".jpg": (8, 16),
    ".jpeg": (8, 16),
}
"""what may be asked of image files; 8 and 16 are taken anywhere, as they always were"""
_SPREAD = 2  # of 65535: how far programs are apart that make 16 bits of 10


def check_bits(out: Path | str, bits: int | str | None) -> None:
    """NvdError where an output is asked for `bits` that its files have not."""
    suffix = Path(out).suffix.lower()
    known = _DEPTHS.get(suffix, (8, 16))
    if bits is not None and bits not in known:
        raise NvdError(
            f"{suffix or 'such files'} cannot be written with --bits {bits}",
            expected=", ".join(str(depth) for depth in known),
            remedy="float is for .exr and .tif, half for .exr, 10 for .dpx",
        )


def depth_for(out: Path | str, bit_depth: int | str, codec: str | None = None) -> int | str:
    """The depth to render for the file `out` of a clip of `bit_depth`, or of what was asked for."""
    suffix = Path(out).suffix.lower()
    if suffix in DEFAULTS and bit_depth == 8:
        holds = CODECS[codec or DEFAULTS[suffix]]
        return 16 if holds.deep and not holds.is_rgb else 8
    if suffix == ".dpx" and bit_depth == 10:
        return 16
    if suffix == ".exr" and bit_depth in (8, 16):
        return "half"
    return bit_depth


def written_depth(out: Path | str, asked: int | str | None, rendered: int | str) -> int | str:
    """The depth of the files: as `rendered`, but for DPX, which has 10 bits by itself."""
    if Path(out).suffix.lower() == ".dpx":
        return asked or 10
    return rendered


def about_depth(out: Path | str, asked: int | str | None, frame: Path) -> list[str]:
    """What to say of a DPX whose 10 bits round what the first `frame` of the clip holds."""
    if Path(out).suffix.lower() != ".dpx" or asked is not None or frame.suffix != ".png":
        return []
    if not frame.is_file():  # which is said elsewhere
        return []
    values = read_image(frame)
    if values.dtype != np.uint16:
        return []
    kept = np.abs(values.astype(np.int32) - rounded(values, 10)) <= _SPREAD
    if kept.all():
        return []
    return [".dpx has 10 bits by itself, fewer than the clip: --bits 16 keeps all of them"]
