"""Pictures for people: textures on a checkerboard, differences made visible, labelled sheets.

Pictures are uint8 [H, W, 3]; what they show is display-encoded floating point.
"""

import cv2
import numpy as np

LABEL_HEIGHT = 18
GAP = 6
PAPER, INK = 24, 224


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Values 0..1 [H, W, 3] or [H, W], clamped, as a picture."""
    picture = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def shrunk(image: np.ndarray, longest: int) -> np.ndarray:
    """`image` with its longer side brought down to `longest`; smaller ones stay as they are."""
    height, width = image.shape[:2]
    if max(height, width) <= longest:
        return image
    factor = longest / max(height, width)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def checker(height: int, width: int, square: int) -> np.ndarray:
    """A checkerboard of 0 and 1, float32 [height, width, 1], its squares `square` pixels wide."""
    rows, columns = np.arange(height) // square, np.arange(width) // square
    return ((rows[:, None] + columns) % 2).astype(np.float32)[..., None]


def on_checker(colours: np.ndarray, alpha: np.ndarray, square: int = 8) -> np.ndarray:
    """Colours [H, W, 3] over a grey checkerboard where alpha [H, W, 1] lets it through."""
    height, width = colours.shape[:2]
    ground = 0.35 + 0.15 * checker(height, width, square)
    return to_bytes(colours * alpha + ground * (1 - alpha))


def difference(image: np.ndarray, true: np.ndarray, gain: float = 4) -> np.ndarray:
    """The absolute difference, `gain` times as bright."""
    return to_bytes(np.abs(image - true) * gain)


def contact_sheet(
    rows: list[list[np.ndarray]], labels: list[list[str]], height: int = 180
) -> np.ndarray:
    """Rows of pictures of any size with a label (ASCII) above each, as one picture.

    All are brought to `height`. Where a row has fewer pictures than others it ends earlier.
    """
    if [len(row) for row in rows] != [len(row) for row in labels]:
        raise ValueError("expected a label for every picture")
    strips = [
        np.concatenate([_tile(*pair, height) for pair in zip(*row, strict=True)], axis=1)
        for row in zip(rows, labels, strict=True)
    ]
    width = max(strip.shape[1] for strip in strips)
    padding = [((0, 0), (0, width - strip.shape[1]), (0, 0)) for strip in strips]
    sheet = [np.pad(s, p, constant_values=PAPER) for s, p in zip(strips, padding, strict=True)]
    return np.pad(np.concatenate(sheet), ((0, GAP), (0, GAP), (0, 0)), constant_values=PAPER)


def _tile(picture: np.ndarray, label: str, height: int) -> np.ndarray:
    """The picture at `height` with its label above and a gap at the top and on the left."""
    width = max(round(picture.shape[1] * height / picture.shape[0]), 1)
    shrinks = height < picture.shape[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    scaled = cv2.resize(picture, (width, height), interpolation=method)
    (text_width, _), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)
    size = (height + LABEL_HEIGHT + GAP, max(width, text_width) + GAP, 3)
    tile = np.full(size, PAPER, np.uint8)
    tile[GAP + LABEL_HEIGHT :, GAP : GAP + width] = scaled
    origin = (GAP, GAP + LABEL_HEIGHT - 6)
    ink = (INK, INK, INK)
    cv2.putText(tile, label, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
    return tile
