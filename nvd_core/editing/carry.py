"""Edits brought from one decomposition of a clip to another: the command `nvd carry`.

Textures of two decompositions lie differently. The frames that both know tie them together
(carried_places.py), so what was painted in the old texture gets its place in the new one.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from nvd_core.editing.carried_places import Places, PlacesFound
from nvd_core.editing.carry_pins import carry_pins, pinned_layers
from nvd_core.editing.carry_stack import CarriedStack, carry_stack, write_carried
from nvd_core.editing.edits import (
    EditDelta,
    display_colours,
    edit_paths,
    load_edit,
    read_texture,
    resized,
)
from nvd_core.editing.holdout import write_carried_finish
from nvd_core.editing.kernel_torch import lookup
from nvd_core.editing.shared_frames import shared_frames
from nvd_core.media.images import encode_image, to_integers
from nvd_core.runtime.all_or_none import all_or_none
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.folder_lock import writing
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import finish_path
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.maps import LayerMaps
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, read_stack
from nvd_core.shot.values import (
    MOST_VALUE,
    PLAIN,
    Keys,
    Values,
    read_values,
    values_path,
    write_values,
)

ROWS = 256
"""of a texture that are worked on at once"""
FAR = 4.0
"""texels by which the frames may disagree on where paint belongs before it is said"""


@dataclass
class Carried:
    """What came of the edits, by layer."""

    edits: dict[str, np.ndarray] = field(default_factory=dict)
    """the new images, uint8 or uint16 [h, w, 4], display-encoded"""
    spread: dict[str, float] = field(default_factory=dict)
    """texels of the old texture by which the frames disagree where paint lies, 99th percentile"""
    unseen: dict[str, float] = field(default_factory=dict)
    """share of the paint that lies where no frame ties the textures"""
    lost: list[str] = field(default_factory=list)
    """layers whose paint has no place, since no frame shows them in both, or that are missing"""
    stack: CarriedStack = field(default_factory=CarriedStack)
    places: dict[str, Places | None] = field(default_factory=dict)
    """where the textures of these layers lie in each other; None where no frame shows both"""

    def facts(self) -> dict:
        """For whoever asked."""
        return {
            "carried": list(self.edits),
            **({"entries": names} if (names := [e.name for e in self.stack.entries]) else {}),
            "spread": self.spread,
            "unseen": self.unseen,
            "lost": self.lost,
        }

    def cautions(self) -> list[str]:
        """What the artist has to know of it."""
        said = [f"the paint of {name} could not be carried over" for name in self.lost]
        for name, spread in self.spread.items():
            if spread > FAR:
                said.append(
                    f"the frames disagree by up to {spread:.1f} texels on where the paint of "
                    f"{name} belongs: look at it, since the two decompositions move differently"
                )
        return said + self.stack.said


def carry(
    old: Shot,
    new: Shot,
    layers: Sequence[str] = (),
    *,
    over: bool = False,
    progress: Progress | None = None,
) -> dict:
    """Bring the edits and values of `old` onto `new`, of the same clip; returns facts.

    `layers` restricts it to some. A layer of `new` that is painted already is refused, unless
    `over`. NvdError where the two share no frames, or nothing is painted. All edits are written,
    or none.
    """
    progress = progress or Progress()
    names = [new.layer(name).name for name in layers] or None
    wanted, entries = _painted(old, names)
    if not wanted and not entries:
        raise NvdError(
            f"there is no paint in {old.folder} to carry over",
            expected="an edit that differs from its texture"
            + (f", of {' or '.join(layers)}" if layers else ""),
            remedy="name the folder that was painted on first, then the new one",
        )
    with writing(new.folder, "nvd carry", progress):
        if not over:
            _check_unpainted(new, wanted, entries)
        values, said = carried_values(old, new)
        pinned = [name for name in pinned_layers(old, new) if names is None or name in names]
        carried = carry_edits(old, new, wanted, progress, entries, also=pinned)
        keeps = values == PLAIN or (values_path(new).exists() and not over)
        write_edits(old, new, carried, None if keeps else values)
        if over or not finish_path(new).exists():
            said += write_carried_finish(old, new)
        said += carry_pins(old, new, {name: carried.places[name] for name in pinned})
    for caution in [*carried.cautions(), *said]:
        progress.caution(caution)
    return carried.facts()


def carry_along(
    shots: Sequence[Shot],
    layers: Sequence[str] = (),
    *,
    over: bool = False,
    progress: Progress | None = None,
) -> dict:
    """`carry` from each of `shots` to the next, as through the sections of a long clip; facts.

    It ends, and says so, where none of the paint shows in the frames that two of them share.
    Nothing is written where any of them is painted already, unless `over`.
    """
    progress = progress or Progress()
    first = _painted(shots[0], [shots[0].layer(name).name for name in layers] or None)
    for new in () if over else shots[1:]:
        _check_unpainted(new, *first)
    said = list[dict]()
    for old, new in pairwise(shots):
        if said and not any(_painted(old, list(layers) or None)):
            progress.caution(f"no paint reaches {old.folder}: it ends before it")
            break
        said.append({"to": str(new.folder)} | carry(old, new, layers, over=over, progress=progress))
    return {"sections": said}


def _check_unpainted(new: Shot, painted: Iterable[str], entries: Sequence[Entry]) -> None:
    """NvdError where a folder has paint on the layers `painted`, or in the stack on those of the
    `entries`.
    """
    standing = [name for name in edit_paths(new, {}) if name in painted]
    stacked = {entry.layer for entry in entries}
    standing += [e.name for e in read_stack(new).entries if e.layer in stacked]
    if standing:
        raise NvdError(
            f"{new.folder} is painted already, on {' and '.join(standing)}",
            remedy="name other layers with --layer, or replace that paint with --over",
        )


def _painted(shot: Shot, names: Sequence[str] | None) -> tuple[dict[str, Path], list[Entry]]:
    """The edits of a folder by layer, and the entries of its stack; of the layers `names`."""
    edits, entries = edit_paths(shot, {}), read_stack(shot).entries
    wanted = {name: edits[name] for name in edits if names is None or name in names}
    return wanted, [entry for entry in entries if names is None or entry.layer in names]


def carry_into(source: str | Path, new: Shot, progress: Progress) -> dict:
    """`carry` all of the folder `source` into a folder that is about to be finished; facts.

    Where it cannot be done, that is said: the paint still is where it was, and `nvd carry` brings
    it over at any time.
    """
    try:
        old = Shot.open(source)
        painted = edit_paths(old, {})
        entries = read_stack(old).entries
        pinned = pinned_layers(old, new)
        some = painted or entries or pinned
        carried = Carried()
        if some:
            carried = carry_edits(old, new, painted, progress, entries, also=pinned)
        values, said = carried_values(old, new)
    except NvdError as error:
        again = f"nvd carry {source} {new.folder}"
        progress.caution(f"the paint was not carried over ({error.problem}); later: {again}")
        return {"carried": []}
    write_edits(old, new, carried, values if values != PLAIN else None)
    said += write_carried_finish(old, new)
    said += carry_pins(old, new, {name: carried.places[name] for name in pinned})
    for caution in [*carried.cautions(), *said]:
        progress.caution(caution)
    return carried.facts()


def write_edits(old: Shot, new: Shot, carried: Carried, values: Values | None = None) -> None:
    """Write what `carry_edits` made into the folder of `new`."""
    paths = {new.edit_path(name): image for name, image in carried.edits.items()}
    if paths:
        with all_or_none(paths, durable=True) as temporaries:
            for temporary, image in zip(temporaries, paths.values(), strict=True):
                encode_image(temporary, image)
    if carried.stack.entries:
        write_carried(old, new, carried.stack, [e.layer for e in carried.stack.entries])
    if values is not None:
        write_values(new, values)


def carried_values(old: Shot, new: Shot) -> tuple[Values, list[str]]:
    """The values of `old` for the layers of `new`, its keys on the frames where they were.

    And what has to be said: of a layer with keys outside of `new` nothing is carried.
    """
    values, said = read_values(old), list[str]()
    apart = new.manifest.clip.first_frame - old.manifest.clip.first_frame
    for name, own in list(values.layers.items()):
        moved = {}
        for what in MOST_VALUE:
            value = getattr(own, what)
            if isinstance(value, Keys):
                keys = [[t - apart, v] for t, v in value.keys]
                value = replace(value, keys=keys)
            moved[what] = value
        inside = all(
            0 <= t < new.frames for v in moved.values() if isinstance(v, Keys) for t, _ in v.keys
        )
        if name in new.names and inside:
            values = replace(values, layers=values.layers | {name: replace(own, **moved)})
            continue
        values = values.without(name)
        if name in new.names:
            said.append(f"visibility and light of {name} have keys outside these frames: set anew")
    return values, said


def carry_edits(
    old: Shot,
    new: Shot,
    painted: dict[str, Path],
    progress: Progress,
    entries: Sequence[Entry] = (),
    known: dict[str, Places | None] | None = None,
    also: Sequence[str] = (),
) -> Carried:
    """The edits `painted` in `old`, files by layer, as images for `new`. Nothing is written.

    And the `entries` of its stack. `known` are the places of layers for which they were found;
    those of the layers `also` are found too.
    """
    carried = Carried()
    wanted = dict.fromkeys([*painted, *(entry.layer for entry in entries), *also])
    names = [name for name in wanted if name in new.names]
    carried.lost += [name for name in painted if name not in names]
    known = known or {}
    left = [name for name in names if name not in known]
    all_places = known | (find_all_places(old, new, left, progress) if left else {})
    carried.places = all_places
    carried.stack = carry_stack(old, new, entries, all_places)
    for name, places in all_places.items():
        if name not in painted:
            continue
        if places is None:
            carried.lost.append(name)
            continue
        edit = load_edit(old, name, painted[name])
        width, height = _size(old, name)
        larger = edit.delta.shape[1] / width, edit.delta.shape[0] / height
        image = carried_edit(edit, read_texture(new, name), places, larger)
        carried.edits[name] = image
        carried.spread[name], carried.unseen[name] = _doubt(edit, places)
    return carried


def find_all_places(
    old: Shot, new: Shot, names: Sequence[str], progress: Progress
) -> dict[str, Places | None]:
    """The places of the layers `names`, from every frame that both decompositions have."""
    shared = shared_frames(old, new)
    found = [
        PlacesFound(_size(old, n), _size(new, n), old.layer(n).parts, new.layer(n).parts)
        for n in names
    ]
    progress.stage("carrying", len(shared))
    with closing(_both(old, new, shared, list(names))) as pairs:
        for done, layers in enumerate(pairs, start=1):
            for gathered, (was, is_now) in zip(found, layers, strict=True):
                gathered.add(was, is_now)
            progress.update(done)
    return {name: gathered.places() for name, gathered in zip(names, found, strict=True)}


def _size(shot: Shot, name: str) -> tuple[int, int]:
    record = shot.layer(name)
    return record.texture_width, record.texture_height


def _both(
    old: Shot, new: Shot, shared: list[tuple[int, int]], names: list[str]
) -> Generator[list[tuple[LayerMaps, LayerMaps]], None, None]:
    """The maps of each shared frame in both, layer by layer."""
    before = iter_maps(old, [t for t, _ in shared], names)
    after = iter_maps(new, [t for _, t in shared], names)
    with closing(before), closing(after):
        for was, is_now in zip(before, after, strict=True):
            yield [(was.layer(n), is_now.layer(n)) for n in range(len(names))]


def carried_edit(
    edit: EditDelta,
    texture: np.ndarray,
    places: Places,
    larger: tuple[float, float] = (1, 1),
) -> np.ndarray:  # uint8 or uint16 [h, w, 4]
    """The edit image for the new `texture`, uint8 or uint16 [h, w, 3 or 4], as deep as the old one.

    It is `larger` than the texture by these factors, across and down. Paint hides the texture
    as far as its colour says: a change that takes all the room there is (black to white) leaves
    nothing of it, a faint one nearly all. So faint paint lies on what the new texture has learned
    better, and texels without paint are the new texture's own.
    """
    height, width = (round(s * f) for s, f in zip(texture.shape, larger[::-1], strict=False))
    dtype = edit.depth if edit.depth.kind == "u" else np.dtype(np.uint16)
    colours, alpha = display_colours(texture)
    opacity = np.ones((*colours.shape[:2], 1), np.float32) if alpha is None else alpha
    if (height, width) != colours.shape[:2]:
        colours = resized(colours, width, height)
        opacity = resized(opacity, width, height).reshape(height, width, 1)
    image = to_integers(np.dstack([colours, opacity]), dtype)
    painted = np.abs(edit.delta).max(2, keepdims=True) > 0
    source = torch.from_numpy(np.dstack([edit.delta, edit.learned, painted]).astype(np.float32))
    for top in range(0, height, ROWS):
        rows = slice(top, min(top + ROWS, height))
        found = _sampled(source, places, width, height, rows)
        touched = found[..., 6] > 0
        if not touched.any():
            continue
        below = colours[rows][touched]
        mixed = _over(found[touched], below)
        part = image[rows]
        part[touched, :3] = to_integers(mixed.clip(0, 1), dtype)
        part[touched, 3] = np.iinfo(dtype).max
    return image


def _over(found: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Paint [N, 7], sampled from the old edit, over the new texture's colours [N, 3]."""
    delta, learned = found[:, :3], found[:, 3:6]
    room = np.where(delta > 0, np.maximum(1 - learned, 0), learned)
    hides = (np.abs(delta) / np.maximum(room, 1e-6)).max(1, keepdims=True).clip(0, 1)
    return delta + hides * learned + (1 - hides) * below


def _sampled(
    source: torch.Tensor, places: Places, width: int, height: int, rows: slice
) -> np.ndarray:  # float32 [rows, width, C]
    """`source`, an image of the old texture, at the places of these rows of the new one."""
    shift = places.at(width, height, rows)
    x = (np.arange(width) + 0.5) / width + shift[..., 0].astype(np.float64)
    y = ((np.arange(height)[rows] + 0.5) / height)[:, None] + shift[..., 1].astype(np.float64)
    return lookup(source, torch.from_numpy(x), torch.from_numpy(1 - y)).numpy()


def _doubt(edit: EditDelta, places: Places) -> tuple[float, float]:
    """Where the paint lies: the frames' disagreement in texels, and the share that is unseen."""
    height, width = places.seen.shape
    painted = np.abs(edit.delta).max(2, keepdims=True) > 0
    source = torch.from_numpy(painted.astype(np.float32))
    under = _sampled(source, places, width, height, slice(0, height))[..., 0] > 0.5
    if not under.any():
        return 0.0, 0.0
    seen = under & places.seen
    spread = float(np.percentile(places.spread[seen], 99)) if seen.any() else 0.0
    return round(spread, 2), round(1 - float(seen.sum()) / float(under.sum()), 4)
