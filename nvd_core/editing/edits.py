"""Edit images: what an artist painted, as the change it makes to a layer's learned texture."""

import filecmp
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import encode_srgb, image_size, read_image, to_float
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.reading import reading
from nvd_core.shot.shot import Shot

DEAD_ZONE = 4 / 255
"""difference that resampling may leave; only edits of another size than the texture have it"""

MOST_LARGER, LEAST_LIMIT = 16, 1 << 24
"""texels that an edit may have: so many times those of the texture, or so many in any case"""

_STEPS = {"uint8": 1 / 255, "float16": 1 / 1024, "uint16": 1 / 65535, "float32": 1 / 65535}


@dataclass
class EditDelta:
    """A layer's edit at the size of the edit image, display-encoded."""

    layer: str
    learned: np.ndarray  # float32 [h, w, 3], the texture c
    delta: np.ndarray  # float32 [h, w, 3], a (e - c); exactly 0 where nothing was painted
    depth: np.dtype  # of the edit image
    opacity: np.ndarray | None = None  # float32 [h, w, 1], the edit image's alpha, where it has one

    @property
    def full(self) -> np.ndarray:
        """The edited texture c + a (e - c), float32 [h, w, 3]."""
        return self.learned + self.delta


def edit_paths(shot: Shot, chosen: dict[str, Path]) -> dict[str, Path]:
    """The edit image of every layer that has one: `chosen`, else the one in the folder.

    An image in the folder that still equals the learned texture, byte for byte, is left out.
    NvdError for a layer that does not exist.
    """
    for name in chosen:
        shot.layer(name)
    paths = {}
    for name in shot.names:
        path = chosen.get(name)
        if path is None:
            path = shot.edit_path(name)
            texture = shot.texture_path(name)
            with reading(path, "the edit", "restore the file, or paint the layer again"):
                if not path.is_file() or filecmp.cmp(path, texture, shallow=False):
                    continue
        paths[name] = Path(path)
    return paths


def load_edit(shot: Shot, layer: str, path: Path | str) -> EditDelta:
    """The edit image `path` of any size and depth, grey or colour, with alpha or without.

    At the texture's own size a difference below one step of the edit's depth is none, so that
    an 8-bit edit of a 16-bit texture changes only what was painted. At another size the learned
    texture is brought to the edit's size (area means down, bilinear up), and differences fade in
    from DEAD_ZONE to twice of it, so that resampling is not taken for paint.
    """
    texture = read_texture(shot, layer)
    height, width = image_size(path)
    most = max(MOST_LARGER * texture.shape[0] * texture.shape[1], LEAST_LIMIT)
    if height * width > most:
        raise NvdError(
            f"the edit {path} is too large for the layer {layer}",
            expected=f"{most} pixels at the most",
            found=f"{width} x {height}",
            remedy=f"bring it to the texture's size, {texture.shape[1]} x {texture.shape[0]}",
        )
    image = read_image(path)
    learned, _ = display_colours(texture)
    edit, alpha = display_colours(image)
    if edit.shape == learned.shape:
        delta = np.subtract(edit, learned, out=edit)
        if image.dtype != texture.dtype:
            # float32 divisions err by less than this share of a step
            delta[np.abs(delta) < _STEPS[image.dtype.name] * 0.999] = 0
    else:
        learned = resized(learned, edit.shape[1], edit.shape[0])
        delta = np.subtract(edit, learned, out=edit)
        size = np.abs(delta).max(2, keepdims=True)
        delta *= ((size - DEAD_ZONE) / DEAD_ZONE).clip(0, 1)
    if alpha is not None:
        delta *= alpha
    if not np.isfinite(delta).all():
        raise NvdError(
            f"the edit {path} holds values that are no colours",
            found="infinite values or NaN",
            remedy="clamp the image and save it again",
        )
    return EditDelta(layer, learned, delta, image.dtype, alpha)


def load_texture(shot: Shot, layer: str) -> np.ndarray:
    """The learned texture of `layer`, display-encoded float32 [h, w, 3]."""
    return display_colours(read_texture(shot, layer))[0]


def read_texture(shot: Shot, layer: str) -> np.ndarray:
    """The learned texture as it is in its file; NvdError where that is not the one baked."""
    path, record = shot.texture_path(layer), shot.layer(layer)
    wanted = record.texture_height, record.texture_width
    size = image_size(path)
    image = read_image(path) if size == wanted else None
    if image is None or (image.dtype.kind == "f" and not np.isfinite(image).all()):
        raise NvdError(
            f"{path} is not the texture of {layer} that was made",
            expected=f"{wanted[1]} x {wanted[0]} finite colours",
            found=f"{size[1]} x {size[0]}" if image is None else "NaN or infinity",
            remedy="copy the folder again with all its files, or make it again",
        )
    return image


def display_colours(image: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Display-encoded RGB float32 [h, w, 3] and alpha [h, w, 1] or None, of a read image."""
    colours, alpha = image, None
    if image.shape[2] in (2, 4):
        colours, alpha = image[..., :-1], to_float(image[..., -1:]).clip(0, 1)
    colours = encode_srgb(colours) if image.dtype.kind == "f" else to_float(colours)
    if colours.shape[2] == 1:
        colours = np.repeat(colours, 3, axis=2)
    return colours, alpha


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Area means along the axes that shrink, then bilinear, texel centres at (i + 0.5) / size."""
    smaller = min(width, image.shape[1]), min(height, image.shape[0])
    image = cv2.resize(image, smaller, interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
