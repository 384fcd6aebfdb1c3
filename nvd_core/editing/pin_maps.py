"""Writing the maps of a shot as its pins say.

Maps of pinned frames are kept as they were in a folder beside (`shot.pins.original_path`), and what
is written is always made of those: so a pin that is removed leaves no trace, bit for bit. New maps
are made in work/pins/ under names that say of what, so that an interrupted run goes on where it
was; then all of them, the index of tiles and the note of what they have change places as one.
"""

import hashlib
import json
import os
import shutil
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from nvd_core.editing.bend import LayerBend
from nvd_core.editing.pin_places import bends_of, original_layers, point_at
from nvd_core.runtime.all_or_none import all_or_none
from nvd_core.runtime.files import copy_file, flush_folder
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.reading import there
from nvd_core.shot import tile_index
from nvd_core.shot.map_files import ORIGINALS, map_files
from nvd_core.shot.map_forms import write_exrs
from nvd_core.shot.map_writer import keeps_places, tiles_of, write_maps
from nvd_core.shot.maps import MOST_TEXELS, LayerMaps, frames_ahead, read_maps
from nvd_core.shot.pins import (
    Pin,
    Pins,
    applied_path,
    as_json,
    original_path,
    read_applied,
)
from nvd_core.shot.shot import Shot
from nvd_core.work import work_folder

COMMAND = "nvd pins"
PLACE = "pins"
"""the folder in work/ in which maps are made"""
BEYOND = 0.001
"""share of a layer's pixels that a bend may push beyond its texture without a word"""
FORMAT = 1
"""to be raised when the same pins give other maps"""


@dataclass
class Applied:
    """What came of it."""

    written: list[int] = field(default_factory=list)
    """frames whose maps were written anew"""
    restored: list[int] = field(default_factory=list)
    """frames whose maps are as they were baked"""
    pinned: int = 0
    """frames that have pins now"""
    off: dict[str, float] = field(default_factory=dict)
    """by pin: how far its point lies from its targets, pixels, at the most"""
    least: float = 1.0
    """what the bends leave of an area, at least"""
    beyond: dict[str, float] = field(default_factory=dict)
    """by layer: the share of its pixels that were pushed beyond its texture, where it is worst"""

    def facts(self) -> dict:
        """For whoever asked."""
        return {
            "written": len(self.written),
            "restored": len(self.restored),
            "pinned": self.pinned,
            "off": {name: round(off, 3) for name, off in self.off.items()},
            "least_area": round(self.least, 3),
        }


def check_pinned(shot: Shot, pins: Pins) -> tuple[dict[str, LayerBend], float]:
    """The bends by layer, and the least that they leave of an area; NvdError where one folds."""
    bends = bends_of(shot, pins.shown())
    least = [bend.check(t) for bend in bends.values() for t in range(shot.frames)]
    return bends, min(least, default=1.0)


def apply_pins(shot: Shot, pins: Pins, progress: Progress | None = None) -> dict:
    """Write the maps of `shot` as `pins` say; returns facts. The caller holds the folder's lock.

    Frames that a pin does not reach are left, or become what they were. NvdError where a pin's
    layer does not show at its target, or its bend folds; then nothing is changed.
    """
    progress = progress or Progress()
    shot.check()
    bends, least = check_pinned(shot, pins)
    result = Applied(least=least)
    shown = [t for t in range(shot.frames) if any(b.at(t).moves for b in bends.values())]
    result.pinned = len(shown)
    before = bends_of(shot, read_applied(shot).shown())
    was = {t: _digest(before, t) for t in range(shot.frames)}
    result.written = [t for t in shown if _digest(bends, t) != was[t] or not _is_kept(shot, t)]
    result.restored = [t for t in range(shot.frames) if _is_kept(shot, t) and t not in shown]
    write_exrs(shot, progress, result.written)  # of maps that are compact alone
    makes = _Making(shot, bends)
    progress.stage("pins", len(result.written))
    ahead = frames_ahead(2 * len(shot.names), shot.manifest.clip.height, shot.manifest.clip.width)
    with closing(in_order(makes, result.written, ahead)) as made:
        for done, beyond in enumerate(made, start=1):
            for name, share in beyond.items():
                result.beyond[name] = max(result.beyond.get(name, 0.0), share)
            progress.update(done)
    _swap(shot, pins, makes, result)
    result.off = {pin.name: _off(shot, pin) for pin in pins.shown()}
    for name, share in result.beyond.items():
        if share > BEYOND:
            progress.caution(
                f"the pins push {share:.1%} of {name} beyond its texture, whose edge shows there"
            )
    return result.facts()


class _Making:
    """Makes the maps of frames in work/pins/, those that are not there yet."""

    def __init__(self, shot: Shot, bends: dict[str, LayerBend]) -> None:
        self._shot, self._bends = shot, bends
        self._sizes = [(r.texture_width, r.texture_height) for r in shot.manifest.layers]

    def path(self, t: int) -> Path:
        """Where the maps of frame `t` are made."""
        source = _digest(self._bends, t), tile_index.checksum(_source(self._shot, t))
        name = hashlib.blake2b(repr(source).encode(), digest_size=8).hexdigest()
        return inside(self._shot.folder, f"{_place(self._shot)}/{t:05d}-{name}.exr")

    def __call__(self, t: int) -> dict[str, float]:
        """Make those of frame `t`; by layer the share of pixels beyond its texture."""
        path = self.path(t)
        layers = original_layers(self._shot, t)
        clip = self._shot.manifest.clip
        size = clip.height, clip.width
        maps = read_maps(_source(self._shot, t), self._shot.names, size)
        beyond = {}
        for n, (name, own) in enumerate(zip(self._shot.names, layers, strict=True)):
            own.texture = self._sizes[n]
            if name in self._bends:
                beyond[name] = _bend(own, self._bends[name], t)
            elif not keeps_places(own):  # it was baked with a larger texture
                own.texture = MOST_TEXELS, MOST_TEXELS
        if not there(path.exists):
            write_maps(path, self._shot.names, layers, maps.added)
        return beyond

    def tiles(self, t: int, grids: list[tuple[int, int]]) -> list[np.ndarray]:
        """The tiles that the made maps of frame `t` look up, by layer."""
        clip = self._shot.manifest.clip
        maps = read_maps(self.path(t), self._shot.names, (clip.height, clip.width))
        layers = [maps.layer(n) for n in range(len(grids))]
        for own, size in zip(layers, self._sizes, strict=True):
            own.texture = size
        return [tiles_of(own, grid) for own, grid in zip(layers, grids, strict=True)]


def _bend(own: LayerMaps, bend: LayerBend, t: int) -> float:
    """Bend a layer's coordinates in place; the share of its pixels that left the texture."""
    shows = own.alpha > 0
    if not shows.any():
        return 0.0
    bent = bend.at(t).bent(np.stack([own.u[shows], own.v[shows]], -1), bend.size)
    own.u[shows], own.v[shows] = bent.clip(0, 1).astype(np.float32).T
    return float(((bent < 0) | (bent > 1)).any(1).mean())


def _swap(shot: Shot, pins: Pins, makes: _Making, result: Applied) -> None:
    """Put what was made, and what is to be as it was, in the maps' place: all of it, or nothing."""
    folder = shot.map_path(0).parent
    index_path = folder / tile_index.NAME
    index_kept = folder / ORIGINALS / tile_index.NAME
    if result.written:
        for t in result.written:
            _keep(shot.map_path(t), original_path(shot, t))
        if there(index_path.exists):
            _keep(index_path, index_kept)
        flush_folder(index_kept.parent)
    index = _new_index(shot, makes, result)
    changed = [*result.written, *result.restored]
    paths = [shot.map_path(t) for t in changed] + [applied_path(shot)]
    paths += [index_path] if index is not None else []
    with all_or_none(paths, durable=True) as temporaries:
        for t, temporary in zip(changed, temporaries, strict=False):
            _stand_in(original_path(shot, t) if t in result.restored else makes.path(t), temporary)
        temporaries[len(changed)].write_text(
            json.dumps(as_json(Pins(pins.shown())), indent=2) + "\n", "utf-8"
        )
        if index is not None and result.pinned:
            index.write(temporaries[-1])
        elif index is not None:
            _stand_in(index_kept, temporaries[-1])
    for t in result.restored:
        _forget(original_path(shot, t))
    if not pins.shown():
        _forget(applied_path(shot))
    if not result.pinned:
        _forget(index_kept)
        with suppress(OSError):  # something else is in it
            (folder / ORIGINALS).rmdir()
    remove_folder(shot.folder, _place(shot))
    with suppress(OSError):
        work_folder(shot.folder).rmdir()


def _new_index(shot: Shot, makes: _Making, result: Applied) -> tile_index.TileIndex | None:
    """The index of tiles with the rows of changed frames; None where there is none to change."""
    folder = shot.map_path(0).parent
    now = tile_index.TileIndex.load(folder, shot.names, shot.frames)
    was = tile_index.TileIndex.load(folder / ORIGINALS, shot.names, shot.frames)
    if now is None or (was is None and result.restored):
        return None
    tiles = {name: now.tiles[name].copy() for name in shot.names}  # what is read is not written to
    now = tile_index.TileIndex(tiles, now.checksums.copy())
    for t in result.restored:
        now.checksums[t] = was.checksums[t]
        for name in shot.names:
            now.tiles[name][t] = was.tiles[name][t]
    grids = [(now.tiles[name].shape[1], now.tiles[name].shape[2]) for name in shot.names]
    read = in_order(partial(makes.tiles, grids=grids), result.written)
    with closing(read) as found:
        for t, of_layers in zip(result.written, found, strict=True):
            now.checksums[t] = tile_index.checksum(makes.path(t))
            for name, tiles in zip(shot.names, of_layers, strict=True):
                now.tiles[name][t] = tiles
    return now


def _off(shot: Shot, pin: Pin) -> float:
    """Pixels by which the point of a pin lies off its targets, at the most, in the maps."""
    files, number = map_files(shot), shot.names.index(pin.layer)
    worst = 0.0
    for t, x, y in pin.to:
        own = files.read(t).layer(number)
        point, steps = point_at(own, x, y, f"the pin {pin.name}", pin.layer, t)
        with suppress(np.linalg.LinAlgError):
            worst = max(worst, float(np.hypot(*np.linalg.solve(steps, point - pin.at))))
    return worst


def _digest(bends: dict[str, LayerBend], t: int) -> str:
    """Equal where the bends of frame `t` are; empty where none moves anything."""
    found = [(name, bend.size, bend.at(t)) for name, bend in bends.items()]
    parts = [
        (name, size, b.centres.tobytes(), b.weights.tobytes(), b.radii.tobytes())
        for name, size, b in found
        if b.moves
    ]
    return hashlib.blake2b(repr((FORMAT, parts)).encode(), digest_size=8).hexdigest() * bool(parts)


def _is_kept(shot: Shot, t: int) -> bool:
    return there(original_path(shot, t).exists)


def _source(shot: Shot, t: int) -> Path:
    """The maps of frame `t` as they were baked."""
    return original_path(shot, t) if _is_kept(shot, t) else shot.map_path(t)


def _place(shot: Shot) -> str:
    return f"{work_folder(shot.folder).name}/{PLACE}"


def _keep(path: Path, kept: Path) -> None:
    """Another name for a file, or a copy of it, where there is none yet."""
    if there(kept.exists):
        return
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, kept)
    except (OSError, NotImplementedError):  # a disk without links
        copy_file(path, kept, durable=True)


def _stand_in(source: Path, temporary: Path) -> None:
    """Give the temporary file what `source` has."""
    try:
        os.link(source, temporary)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, temporary)


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
