"""The stack of edits in the live preview: a layer's sheet of a frame, flattened on demand.

A sheet is made anew where an entry, its opacity in the frame, or what is painted has changed; while
there is paint that is not saved, each time. Words, and movies in one file, are not drawn: the panel
says so. Pictures of a movie are loaded by `prepare`, as Blender does not allow that while it draws.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ..blender.inside import inside
from ..blender.pixels import set_space
from ..shot import file_stamps, stack
from ..shot.folder import Shot, ShotError
from ..shot.image_header import check_image
from ..shot.painting import has_unsaved
from ..shot.resample import DEAD_ZONE
from ..shot.stack_file import Corners, Entry
from . import damage, preview_shader, stack_shader
from .edit_texture import EditTextures, Followed

MOST_TAPS = 8


def is_previewed(item) -> bool:
    """Whether the live preview draws what the engine does."""
    return item.kind in ("paint", "picture", "adjustment") or _is_numbered(item)


def _is_numbered(item) -> bool:
    return item.kind == "movie" and "%" in item.file


@dataclass
class Flat:
    """A sheet with the stack on it, and what the preview compares it with."""

    texture: object  # gpu.types.GPUTexture
    learned: bpy.types.Image
    key: object
    """equal where all is but for what is painted"""
    tiles: np.ndarray | None
    """what of it is not as it was the last time, as damage.py has it; None where that is not
    known"""


class StackSheets:
    """The sheets of a shot's layers; the last of each is kept."""

    def __init__(self, shot: Shot):
        self.shot = shot
        self._sheets: dict[str, stack_shader.Sheet] = {}
        self._keys: dict[str, object] = {}
        self._movies: dict[str, list[Path]] = {}  # by pattern
        self._loaded: dict[str, str] = {}  # by the entry's name: the picture that its image shows
        self._edits = EditTextures()
        self._followed: dict[str, object] = {}  # the keys of sheets that go by strokes

    def shows(self, entry, layer, t: int) -> bool:
        """Whether the stack changes the layer in frame `t`."""
        return bool(self._shown(entry, layer, t))

    def prepare(self, entry, t: int) -> None:
        """Load the pictures of movies that show in frame `t`."""
        for item in entry.stack:
            stored = item.stored
            path = self._picture(stored, t)
            if path is None or not stored.strength(t, entry.frames):
                continue
            if not self._is_loaded(item.name, path):
                self._load(item.name, path)

    def is_prepared(self, entry, t: int) -> bool:
        """Whether there is nothing to load for frame `t`."""
        for item in entry.stack:
            stored = item.stored
            path = self._picture(stored, t) if stored.strength(t, entry.frames) else None
            if path is not None and not self._is_loaded(item.name, path):
                return False
        return True

    def _is_loaded(self, name: str, path: Path) -> bool:
        return self._loaded.get(name) == str(path) and self._name(name) in bpy.data.images

    @staticmethod
    def learned_of(layer) -> bpy.types.Image:
        """What the layer's sheet is compared with."""
        return layer.base if _area(layer.edit) >= _area(layer.learned) else layer.learned

    def flat(self, entry, layer, t: int, by_strokes: bool = False) -> Flat | None:
        """The layer's sheet in frame `t`; None where no entry shows. Only where Blender draws.

        by_strokes: whether of what is painted only what has changed is uploaded, and made anew.
        """
        shown = self._shown(entry, layer, t)
        if not shown:
            return None
        learned = self.learned_of(layer)
        size = tuple(learned.size)
        images = [layer.edit, layer.base, learned, *(image for *_, image in shown if image)]
        key = (
            tuple((stored, strength) for stored, strength, _image in shown),
            tuple((i.session_uid, i.name, *i.size, *preview_shader.kept(i)) for i in images),
            tuple(file_stamps.known(image) for image in images),
            tuple(self._loaded.get(stored.name) for stored, *_ in shown),
        )
        changing = any(has_unsaved(image) for image in images if image != layer.base)
        sheet = self._sheets.get(layer.name)
        if sheet is None or sheet.size != size:
            sheet = self._sheets[layer.name] = stack_shader.Sheet(*size)
            self._keys.pop(layer.name, None)
            self._followed.pop(layer.name, None)
        strokes = self._strokes(layer, shown, size) if by_strokes else None
        known = self._followed.pop(layer.name, None)
        if strokes is not None and known == key:
            if strokes.tiles.any():
                region = damage.rectangles(strokes.tiles, damage.TILE, size)
                self._make(sheet, layer, learned, shown, strokes, region)
        elif changing or strokes is not None or self._keys.get(layer.name) != key:
            self._make(sheet, layer, learned, shown, strokes)
        self._keys[layer.name] = None if changing else key
        if strokes is not None:
            self._followed[layer.name] = key
        return Flat(sheet.texture, learned, key, None if strokes is None else strokes.tiles)

    def state(self, layer) -> object:
        """Equal where the sheet that `flat` made last is; None while it is being painted on."""
        return self._keys.get(layer.name)

    def close(self) -> None:
        """Give everything back; the images of movies leave the file too."""
        self._sheets.clear()
        self._keys.clear()
        self._followed.clear()
        self._edits.forget()
        for name in self._loaded:
            image = bpy.data.images.get(self._name(name))
            if image is not None:
                bpy.data.images.remove(image)
        self._loaded.clear()

    def forget_pictures(self) -> None:
        """Blender's undo may have taken the movies' images away."""
        self._loaded.clear()
        self._keys.clear()
        self._followed.clear()

    def _shown(self, entry, layer, t: int) -> list[tuple[Entry, float, bpy.types.Image | None]]:
        """What shows in frame `t` and can be drawn, bottom to top, with its opacity and image."""
        if layer.shown is not None or not (layer.edit and layer.base and layer.learned):
            return []
        found = []
        for item, strength in stack.shown_on(entry, layer, t):
            image = item.image
            if item.kind == "adjustment":
                image = item.mask_image
                if item.mask and image is None:
                    continue
            elif _is_numbered(item):
                hides = self._picture(item.stored, t) is None
                image = None if hides else bpy.data.images.get(self._name(item.name))
            if not is_previewed(item) or (item.kind != "adjustment" and image is None):
                continue
            if image is None or 0 not in image.size:
                found.append((item.stored, strength, image))
        return found

    def _strokes(self, layer, shown, size: tuple[int, int]) -> "_Strokes | None":
        """What is new of the images that are painted on; None where of another it is not known."""
        painted = {stored.name: image for stored, _, image in shown if stored.kind == "paint"}
        others = [image for stored, _, image in shown if image and stored.kind != "paint"]
        if any(image.is_dirty for image in (layer.base, layer.learned, *others)):
            return None
        found, tiles = {}, ~damage.all_tiles(size)
        for name, image in (("", layer.edit), *painted.items()):
            followed = self._edits.follow(f"{layer.name}\0{name}", image)
            if followed is None:
                return None
            found[name] = followed
            tiles |= damage.scaled_tiles(followed.tiles, tuple(image.size), size)
        return _Strokes(found, tiles)

    def _make(self, sheet, layer, learned, shown, strokes=None, region=None) -> None:
        """All of a sheet, or a region of the one that there is."""
        followed = {} if strokes is None else strokes.followed
        edit = _texture(layer.edit, followed.get(""))
        base, own = _texture(layer.base), _texture(learned)
        dead_zone = DEAD_ZONE if layer.base != layer.learned else 0.0
        textures, forms = zip(edit, base, own, strict=True)
        sheet.begin(*textures, forms, dead_zone, region, len(shown))
        for stored, strength, image in shown:
            source = None
            if image is not None:
                source = _source(stored, image, sheet.size, followed.get(stored.name))
            if stored.kind == "adjustment":
                change = stored.hue, stored.saturation, stored.gain, stored.gamma
                sheet.adjust(source, strength, stored.blend, *change)
            else:
                sheet.lay(source, strength, stored.blend)

    def _picture(self, stored: Entry, t: int) -> Path | None:
        """The file of a movie's picture in frame `t`; None where it shows none."""
        if stored.kind != "movie" or "%" not in stored.file:
            return None
        if stored.file not in self._movies:
            self._movies[stored.file] = _numbered_files(self.shot, stored.file)
        files, at = self._movies[stored.file], t - stored.start
        if at < 0 or not files or (at >= len(files) and stored.after == "hide"):
            return None
        return files[at % len(files) if stored.after == "loop" else min(at, len(files) - 1)]

    def _name(self, name: str) -> str:
        return f".NVD stack {self.shot.name} {name}"

    def _load(self, name: str, path: Path) -> None:
        check_image(path, ShotError)
        image = bpy.data.images.get(self._name(name))
        if image is None:
            image = bpy.data.images.load(str(path))
            image.name, image.alpha_mode = self._name(name), "CHANNEL_PACKED"
        else:
            image.filepath = str(path)
            image.reload()
        if not image.size[0]:
            raise ShotError(f"Blender cannot read {path}", "copy it again; it may be damaged")
        set_space(image)
        self._loaded[name] = str(path)


def _numbered_files(shot: Shot, pattern: str) -> list[Path]:
    """The pictures of a pattern such as edits/stack/run/%05d.png, by their numbers."""
    folder, _, name = pattern.rpartition("/")
    head, _, tail = name.partition("%")
    form = re.compile(rf"{re.escape(head)}(\d+){re.escape(tail[3:])}")
    place = inside(shot.folder, folder, ShotError)
    try:
        matches = [form.fullmatch(path.name) for path in place.iterdir()]
    except OSError:
        return []
    numbered = sorted((int(match[1]), match[0]) for match in matches if match)
    return [inside(shot.folder, f"{folder}/{name}", ShotError) for _number, name in numbered]


@dataclass
class _Strokes:
    followed: dict[str, Followed]
    """the images that are painted on, by the entry's name, "" for the layer's own"""
    tiles: np.ndarray
    """of the sheet"""


def _texture(image: bpy.types.Image, followed: Followed | None = None) -> tuple:
    """An image's texture and its form."""
    if followed is not None:
        return followed.texture, followed.form
    return preview_shader.from_image(image), preview_shader.form_of(image)


def _source(
    stored: Entry, image: bpy.types.Image, size: tuple[int, int], followed: Followed | None
) -> stack_shader.Source:
    corners = stored.corners if stored.kind in ("picture", "movie") else None
    across, down = quad_size(corners, *size)
    shrinks = max(image.size[0] / across, image.size[1] / down)
    return stack_shader.Source(
        *_texture(image, followed),
        is_premultiplied=image.file_format == "OPEN_EXR",
        is_pinned=corners is not None,
        matrix=None if corners is None else onto_picture(corners),
        taps=min(max(int(np.ceil(shrinks - 1e-6)), 1), MOST_TAPS),
    )


def quad_size(corners: Corners | None, width: int, height: int) -> tuple[float, float]:
    """Texels that a quad takes across and down, at its longer sides; of the sheet for None."""
    if corners is None:
        return width, height
    places = np.float64(corners) * [width, height]
    top, right, bottom, left = (
        float(np.hypot(*(places[k] - places[(k + 1) % 4]))) for k in range(4)
    )
    return max(top, bottom, 1.0), max(left, right, 1.0)


def onto_picture(corners: Corners) -> np.ndarray:
    """The projective map [3, 3] from places on the sheet to places on the picture whose corners lie
    there; both 0 to 1 from the top left. Its third coordinate is above 0 within the quad.
    """
    rows, wanted = [], []
    whole = ((0, 0), (1, 0), (1, 1), (0, 1))
    for (x, y), (u, v) in zip(np.float64(corners), whole, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
        wanted += [u, v]
    # By its smallest singular value: the last number may be 0
    whole_rows = np.hstack([np.array(rows), -np.float64(wanted)[:, None]])
    matrix = np.linalg.svd(whole_rows)[2][-1].reshape(3, 3)
    middle = matrix @ [*np.mean(corners, axis=0), 1]
    return matrix * (np.sign(middle[2]) or 1.0) / np.abs(matrix).max()


def _area(image: bpy.types.Image) -> int:
    return image.size[0] * image.size[1]
