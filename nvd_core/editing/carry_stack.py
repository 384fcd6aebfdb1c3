"""The stack of edits brought from one decomposition of a clip to another, with `nvd carry`.

Paint and masks are resampled as painted sheets are; corners go through the homography that best
agrees with where the texels lie in both, strokes point by point; pictures, movies and fonts are
copied.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from nvd_core.editing.carried_places import Places
from nvd_core.editing.edits import display_colours
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.stack_edit import copy_pictures, free_path
from nvd_core.editing.stack_pictures import strokes_of
from nvd_core.editing.stroke_places import runs_of
from nvd_core.media.images import decode_srgb, encode_image, read_image, to_integers
from nvd_core.media.sequences import is_pattern, numbered_files
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, written_beside
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import (
    Corners,
    Entry,
    Stack,
    entry_path,
    is_convex,
    read_stack,
    write_stack,
)
from nvd_core.shot.strokes import SUFFIX as STROKES_SUFFIX
from nvd_core.shot.strokes import Stroke, write_strokes

ROWS = 256
NEAR_CELLS = 3.0
"""cells of the grid of places within which a stroke's point has to have a known one"""
AROUND = 12
"""places that the map near a stroke's point is fitted to"""
FAITH = 1e-6
"""how far a fit is drawn to a mere shift, where its places lie on a line"""
FEWEST = 16
"""texels of the grid that have to tie a quad to its new place"""
WHOLE: Corners = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass
class CarriedStack:
    """What came of the stack."""

    entries: list[Entry] = field(default_factory=list)
    """as they are to be in the new folder, but for the names of their files"""
    images: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    """by entry and key: the new images of paint and masks"""
    strokes: dict[str, tuple[Stroke, ...]] = field(default_factory=dict)
    """by entry: strokes at their new places"""
    said: list[str] = field(default_factory=list)
    """what could not be carried, in words"""


def carry_stack(
    old: Shot, new: Shot, entries: Sequence[Entry], places: dict[str, Places | None]
) -> CarriedStack:
    """The `entries` of `old` for `new`, by the places of their layers. Nothing is written."""
    carried = CarriedStack()
    for entry in entries:
        found = places.get(entry.layer)
        if found is None:
            carried.said.append(f"the edit {entry.name} has no place: {entry.layer} is not shown")
            continue
        moved = _in_time(old, new, entry)
        if moved is None:
            carried.said.append(f"the edit {entry.name} shows in none of these frames")
            continue
        try:
            images = _images(old, new, moved, found) if moved.kind != "strokes" else {}
        except NvdError as error:
            carried.said.append(f"the edit {entry.name} was not carried over: {error.problem}")
            continue
        if moved.kind in ("picture", "movie", "text"):
            corners = _corners(moved.corners or WHOLE, found)
            if corners is None:
                carried.said.append(
                    f"the edit {entry.name} has no place: its corners enclose too little that "
                    "frames show in both"
                )
                continue
            moved = replace(moved, corners=corners)
        if moved.kind == "strokes":
            strokes, lost = carried_strokes(old, new, moved, found)
            if lost:
                carried.said.append(
                    f"{lost:.0%} of the points of {entry.name} lie where no frame shows the "
                    "layer in both: left out"
                )
            if not strokes:
                continue
            carried.strokes[entry.name] = strokes
        carried.entries.append(moved)
        carried.images |= {(entry.name, key): image for key, image in images.items()}
    return carried


def write_carried(old: Shot, new: Shot, carried: CarriedStack, layers: Sequence[str]) -> None:
    """Write it in place of what `new` has on `layers`, files first and the stack last."""
    kept = [entry for entry in read_stack(new).entries if entry.layer not in layers]
    taken = {entry.name.casefold() for entry in kept}
    made = []
    for was in carried.entries:
        entry = replace(was, name=_free_name(was.name, taken))
        for key, relative in was.files.items():
            if was.name in carried.strokes and key == "file":
                copied = _written_strokes(new, entry, carried.strokes[was.name])
            else:
                image = carried.images.get((was.name, key))
                copied = _written(old, new, entry, relative, image)
            entry = replace(entry, **{key: copied})
        made.append(entry)
    if made or kept:
        write_stack(new, Stack((*kept, *made)))


def _free_name(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name[:55]} {number}"
    taken.add(free.casefold())
    return free


def _written(old: Shot, new: Shot, entry: Entry, relative: str, image: np.ndarray | None) -> str:
    """Write a file of an entry into the new folder; its path there."""
    source = entry_path(old, relative)
    if is_pattern(source):
        numbered = numbered_files(source)
        return copy_pictures(new, entry.name, [numbered[key] for key in sorted(numbered)], [])
    suffix = source.suffix.lower()
    if image is not None:
        suffix = ".exr" if image.dtype.kind == "f" else ".png"
    copied = free_path(new, entry.name, suffix)
    target = entry_path(new, copied)
    target.parent.mkdir(parents=True, exist_ok=True)
    if image is None:
        copy_file(source, target, durable=True)
    else:
        with written_beside(target, durable=True) as temporary:
            encode_image(temporary, image)
    return copied


def _written_strokes(new: Shot, entry: Entry, strokes: tuple[Stroke, ...]) -> str:
    copied = free_path(new, entry.name, STROKES_SUFFIX)
    target = entry_path(new, copied)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_strokes(target, strokes)
    return copied


def carried_strokes(
    old: Shot, new: Shot, entry: Entry, places: Places
) -> tuple[tuple[Stroke, ...], float]:
    """The strokes of an entry on the new texture, and the share of points that have no place there.

    They are as wide in pixels, and as wide in texels as the layer has become.
    """
    strokes, moved_points = strokes_of(old, entry), MovedPoints(places)
    was, now = (shot.layer(entry.layer) for shot in (old, new))
    longer = max(was.texture_width, was.texture_height) / max(now.texture_width, now.texture_height)
    made: list[Stroke] = []
    lost = total = 0
    for stroke in strokes:
        points = np.array(stroke.points, np.float64)
        moved, known = moved_points(points)
        lost, total = lost + int((~known).sum()), total + len(points)
        for run in runs_of(known):
            line = tuple((float(u), float(v)) for u, v in moved[run].round(7))
            grown = _length(moved[run] * [now.texture_width, now.texture_height]) / max(
                _length(points[run] * [was.texture_width, was.texture_height]), 1e-9
            )
            share = stroke.share * longer * (grown if len(line) > 1 else 1.0)
            made.append(replace(stroke, points=line, share=share))
    return tuple(made), lost / max(total, 1)


class MovedPoints:
    """Where points of the old texture lie on the new one."""

    def __init__(self, places: Places) -> None:
        height, width = places.shift.shape[:2]
        x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
        self._now = np.stack([x, y], -1)[places.seen]
        self._before = self._now + places.shift[places.seen]
        self._tree = cKDTree(self._before)
        self._far = NEAR_CELLS / min(width, height)

    def __call__(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of `points` [N, 2], shares from the top left, theirs, and bool [N] whether it is known.

        A point goes where the affine map that agrees best with the texels around it takes it.
        """
        if not len(self._now):
            return points, np.zeros(len(points), bool)
        away, nearest = self._tree.query(points, min(AROUND, len(self._now)))
        away, nearest = away.reshape(len(points), -1), nearest.reshape(len(points), -1)
        before = self._before[nearest]
        moved = points + _local(points, before, (self._now - self._before)[nearest])
        return moved, away[:, 0] <= self._far


def _local(points: np.ndarray, around: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """The affine fit of `shifts` at the places `around`, both [N, k, 2], at `points` [N, 2]."""
    middle = around.mean(1, keepdims=True)
    size = np.abs(around - middle).max((1, 2), keepdims=True) + 1e-12
    ones = np.ones((*around.shape[:2], 1))
    sides = np.concatenate([(around - middle) / size, ones], 2)
    square = np.swapaxes(sides, 1, 2) @ sides + np.diag([FAITH, FAITH, 0])
    fitted = np.linalg.solve(square, np.swapaxes(sides, 1, 2) @ shifts)
    at = np.concatenate([(points[:, None] - middle) / size, ones[:, :1]], 2)
    return np.asarray((at @ fitted)[:, 0])


def _length(line: np.ndarray) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def _in_time(old: Shot, new: Shot, entry: Entry) -> Entry | None:
    """The entry in the frames where it was; None where the new clip has none of them."""
    apart = new.manifest.clip.first_frame - old.manifest.clip.first_frame
    entry = replace(entry, start=entry.start - apart) if entry.kind == "movie" else entry
    if entry.frames is None:
        return entry
    first, last = (t - apart for t in entry.frames)
    if last < 0 or first >= new.frames:
        return None
    if first < 0:  # what came in before the clip begins has come
        entry = replace(entry, fade_in=max(entry.fade_in + first, 0))
    return replace(entry, frames=(max(first, 0), last))


def _images(old: Shot, new: Shot, entry: Entry, places: Places) -> dict[str, np.ndarray]:
    """Its paint or mask, resampled for the new texture, by the key that names it."""
    images = {}
    for key, relative in entry.files.items():
        if entry.kind == "paint" or key == "mask":
            image = read_image(entry_path(old, relative))
            images[key] = _resampled(image, *_new_size(old, new, entry, image), places)
        else:
            path = entry_path(old, relative)
            there = bool(numbered_files(path)) if is_pattern(path) else path.is_file()
            if not there:
                raise NvdError(f"{path} is missing", remedy="restore the file")
    return images


def _new_size(old: Shot, new: Shot, entry: Entry, image: np.ndarray) -> tuple[int, int]:
    """Width and height that hold the image as finely on the new texture."""
    was, is_now = old.layer(entry.layer), new.layer(entry.layer)
    width = round(image.shape[1] * is_now.texture_width / was.texture_width)
    height = round(image.shape[0] * is_now.texture_height / was.texture_height)
    return max(width, 1), max(height, 1)


def _resampled(image: np.ndarray, width: int, height: int, places: Places) -> np.ndarray:
    """An image on the old texture as one on the new, as deep: RGBA; grey stays without alpha."""
    colours, alpha = display_colours(image)
    whole = np.ones((*colours.shape[:2], 1), np.float32) if alpha is None else alpha
    source = torch.from_numpy(np.dstack([colours * whole, whole]).astype(np.float32))
    result = np.empty((height, width, 4), np.float32)
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        shift = places.at(width, height, rows)
        x = (np.arange(width) + 0.5) / width + shift[..., 0].astype(np.float64)
        y = ((np.arange(height)[rows] + 0.5) / height)[:, None] + shift[..., 1].astype(np.float64)
        result[rows] = lookup(source, torch.from_numpy(x), torch.from_numpy(1 - y)).numpy()
    cover = result[..., 3:]
    result[..., :3] = np.divide(result[..., :3], cover, out=result[..., :3], where=cover > 0)
    if alpha is None:
        result = result[..., :3]
    if image.dtype.kind == "f":
        return _linear(result)
    return to_integers(result, image.dtype)


def _linear(image: np.ndarray) -> np.ndarray:
    return np.dstack([decode_srgb(image[..., :3]), image[..., 3:]]).astype(np.float32)


def _corners(corners: Corners, places: Places) -> Corners | None:
    """Where a quad of the old texture lies on the new one; None where nothing ties it."""
    height, width = places.shift.shape[:2]
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    new = np.stack([x, y], -1)
    old = new + places.shift
    inner = _inside(corners)(old) & places.seen
    if inner.sum() < FEWEST:
        return None
    found = cv2.findHomography(old[inner].astype(np.float64), new[inner].astype(np.float64), 0)[0]
    if found is None or not np.isfinite(found).all():
        return None
    laid = cv2.perspectiveTransform(np.float64(corners)[None], found)[0].round(6)
    (a, b), (c, d), (e, f), (g, h) = ((float(u), float(v)) for u, v in laid)
    made: Corners = ((a, b), (c, d), (e, f), (g, h))
    return made if is_convex(made) else None


def _inside(corners: Corners) -> Callable[[np.ndarray], np.ndarray]:
    """Whether places [..., 2] lie in a convex quad."""
    quad = np.float64(corners)
    (ax, ay), (bx, by) = quad[1] - quad[0], quad[2] - quad[1]
    turn = np.sign(ax * by - ay * bx)

    def test(places: np.ndarray) -> np.ndarray:
        within = np.ones(places.shape[:-1], bool)
        for k in range(4):
            side, off = quad[(k + 1) % 4] - quad[k], places - quad[k]
            within &= (side[0] * off[..., 1] - side[1] * off[..., 0]) * turn >= 0
        return within

    return test
