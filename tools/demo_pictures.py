"""What the demo paints, and what it shows; run in the engine's environment by tools/demo.py.

demo_pictures.py paint SHOT.nvd OUT    writes OUT/edits/<layer>.png
demo_pictures.py show SHOT.nvd OUT     writes before_after.mp4, contact_sheet.png, demo.json
"""

import json
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from nvd_core.media.images import encode_srgb, read_image, to_float, write_image
from nvd_core.media.writer import open_writer
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot

WORDS = ("HELLO", "NVD", "PAINT", "THREE")
COLOURS = ((255, 255, 255), (255, 205, 30), (90, 200, 255), (120, 230, 120))
OUTLINE = (25, 25, 30)


def paint(shot: Shot, out: Path) -> None:
    """Write a word on every layer, where the frame that shows most of it has room."""
    for n, name in enumerate(shot.names):
        texture = read_image(shot.texture_path(name))
        uva = fullest_view(shot, n)
        letters, outline = word_stamp(WORDS[n % 4], seen_texels(uva, texture.shape[:2]))
        top = np.iinfo(texture.dtype).max
        for stamp, colour in ((outline, OUTLINE), (letters, COLOURS[n % 4])):
            share = stamp[..., None] / np.float32(255)
            ink = np.append(np.array(colour) / 255 * top, top)
            texture = np.where(share > 0, texture * (1 - share) + ink * share + 0.5, texture)
            texture = texture.astype(np.uint8 if top == 255 else np.uint16)
        write_image(out / "edits" / f"{name}.png", texture)


def fullest_view(shot: Shot, n: int) -> np.ndarray:
    """u, v, alpha [P, 3] of layer n's pixels in the frame, of nine, that shows most of it."""
    views = []
    for t in np.linspace(0, shot.manifest.clip.frames - 1, 9).astype(int):
        uva = read_frame_maps(shot, int(t)).uva[n]
        views.append(uva[uva[..., 2] > 0.5])
    return max(views, key=len)


def seen_texels(uva: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Texels that the pixels uva [P, 3] look up, closed to an area, uint8 [h, w]."""
    height, width = size
    seen = np.zeros(size, np.uint8)
    x = (uva[:, 0] * width).astype(int).clip(0, width - 1)
    y = ((1 - uva[:, 1]) * height).astype(int).clip(0, height - 1)
    seen[y, x] = 1
    return cv2.morphologyEx(seen, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))


def word_stamp(word: str, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The word as large as it fits in the widest free place, and its outline, uint8 [h, w]."""
    padded = cv2.copyMakeBorder(free, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    face = cv2.FONT_HERSHEY_DUPLEX
    (width, _), _ = cv2.getTextSize(word, face, 1.0, 2)
    scale = 1.7 * distance.max() / width
    thickness = max(2, round(3.2 * scale))
    (width, height), _ = cv2.getTextSize(word, face, scale, thickness)
    place = (int(x - width / 2), int(y + height / 2))
    letters = np.zeros(free.shape, np.uint8)
    cv2.putText(letters, word, place, face, scale, 255, thickness, cv2.LINE_AA)
    edge = 2 * max(2, round(height / 10)) + 1
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (edge, edge))
    outline = cv2.dilate(letters, around)
    return letters, outline


def show(shot: Shot, out: Path) -> None:
    """The clip beside its edit as a movie, and frames and textures as one picture."""
    clip = shot.manifest.clip
    rate = Fraction(*clip.rate)
    errors = []
    with open_writer(out / "before_after.mp4", 2 * clip.width, clip.height, rate) as movie:
        for t in range(clip.frames):
            edited = to_float(read_image(out / "nvd" / f"{t:05d}.png"))[..., :3]
            movie.write(t, _bytes(np.concatenate([frame(shot, t), edited], 1)))
            other = out / "blender" / f"{t:05d}.png"
            if other.exists():
                errors.append(np.square(to_float(read_image(other))[..., :3] - edited).mean())
    facts = {"blender_psnr": float(-10 * np.log10(max(np.max(errors), 1e-12)))} if errors else {}
    (out / "demo.json").write_text(json.dumps(facts))
    write_image(out / "contact_sheet.png", contact_sheet(shot, out))


def contact_sheet(shot: Shot, out: Path) -> np.ndarray:
    """Rows: the clip, the edit, the learned and the painted textures, uint8 [h, w, 3]."""
    clip = shot.manifest.clip
    chosen = [0, clip.frames // 2, clip.frames - 1]
    width = 3 * 480
    rows = [
        [frame(shot, t) for t in chosen],
        [to_float(read_image(out / "nvd" / f"{t:05d}.png"))[..., :3] for t in chosen],
    ]
    for folder in (shot.folder / "textures", out / "edits"):
        rows.append([over_grey(read_image(folder / f"{name}.png")) for name in shot.names])
    return _bytes(np.concatenate([row_of(images, width) for images in rows]))


def row_of(images: list[np.ndarray], width: int) -> np.ndarray:
    """Images side by side at one height, exactly `width` pixels wide."""
    aspect = sum(image.shape[1] / image.shape[0] for image in images)
    height = round(width / aspect)
    sizes = [(round(image.shape[1] / image.shape[0] * height), height) for image in images]
    scaled = [
        cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        for image, size in zip(images, sizes, strict=True)
    ]
    return cv2.resize(np.concatenate(scaled, 1), (width, height))


def over_grey(texture: np.ndarray) -> np.ndarray:
    """A texture over grey where nothing was seen, float32 [h, w, 3]."""
    texture = to_float(texture)
    alpha = texture[..., 3:]
    return texture[..., :3] * alpha + 0.35 * (1 - alpha)


def frame(shot: Shot, t: int) -> np.ndarray:
    """Frame t as shot, display-encoded float32."""
    image = to_float(read_image(shot.frame_path(t)))[..., :3]
    return encode_srgb(image) if shot.manifest.clip.encoding == "linear" else image


def _bytes(image: np.ndarray) -> np.ndarray:
    return (image.clip(0, 1) * 255 + 0.5).astype(np.uint8)


if __name__ == "__main__":
    task, shot, out = sys.argv[1:]
    {"paint": paint, "show": show}[task](Shot.open(Path(shot)), Path(out))
