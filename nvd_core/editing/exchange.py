"""A better state of a folder put in place of the one that is painted on, and taken back again.

A state is what a manifest names: maps, textures, networks, edits and the stack. A new one comes
under new names beside the old one, the paint is carried over, and the manifest, which is replaced
last, names it: a command that is killed has changed nothing, a render that runs goes on with what
it began with, and a program that has an old edit open writes over no new one. `former.json` keeps
the manifest before, so that `nvd former --back` returns to it.
"""

import re
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nvd_core.editing.carried_places import Places
from nvd_core.editing.carry import Carried, carry_edits, find_all_places, write_edits
from nvd_core.editing.edits import edit_paths
from nvd_core.runtime.documents import Unreadable, read_json
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, write_json
from nvd_core.runtime.folder_lock import writing_when_free
from nvd_core.runtime.inside import inside, remove_folder
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import Manifest, as_written, manifest_in, write_manifest
from nvd_core.shot.pins import read_pins
from nvd_core.shot.shot import REFINED, Shot
from nvd_core.shot.stack import read_stack, stack_path

COMMAND = "nvd former"
FORMER = "former.json"
SCHEMA, VERSION = "nvd.former", 1
BRUSH = ".nvd.painting"
"""a file that whoever has unsaved paint of the folder touches every second"""
BRUSH_SECONDS = 10.0
"""since the last touch, after which nobody paints any more"""
LOOK = 0.5
STATE = re.compile(re.escape(REFINED) + r"\d{1,4}")
"""folders of states; the first state lies in the folder itself"""


def exchange(base: Shot, made: Manifest, progress: Progress, command: str) -> bool:
    """Put the state `made`, whose maps, textures and networks are there, in place of `base`.

    Its edits are made from those of `base`. Waits while somebody has unsaved paint, and holds the
    folder's lock only to carry and to rename. False, and said, where the folder shows another state
    than `base` by now.
    """
    folder, new = base.folder, Shot(base.folder, made)
    known = _places(base, new, _painted(base), progress)
    while True:
        _wait_for_brush(folder, progress)
        with writing_when_free(folder, command, progress):
            if is_painting(folder):
                continue
            if Shot.open(folder).manifest != base.manifest:
                progress.caution(
                    f"{folder} was changed while it was refined (textures of another size, or "
                    "taken back): the refinement is not put in; `nvd refine` makes a version of it"
                )
                return False
            if read_pins(base).shown():
                progress.caution(
                    f"the refinement of {folder} is not put in: pins hold the maps that are shown; "
                    "`nvd refine` makes a version of it"
                )
                return False
            _carry_all(base, new, known, progress)
            _keep_former(base, new)
            write_manifest(folder, made)
            _remove_others(new)
        return True


def go_back(folder: Path, progress: Progress | None = None) -> Shot:
    """Return to the state before the last exchange; the one that was shown becomes the former.

    Paint that was added since is carried back; where none was, all edits are as they were, bit for
    bit. NvdError where there is no former state.
    """
    progress = progress or Progress()
    now = Shot.open(folder)
    with writing_when_free(now.folder, COMMAND, progress):
        now = Shot.open(folder)
        former = read_former(now)
        sums = former.edits
        then = Shot(now.folder, replace(former.manifest, refinement=None))
        if read_pins(now).shown():
            raise NvdError(
                f"pins hold the maps that {folder} shows",
                expected="a state without pins, whose points are those of its own textures",
                remedy=f"take them out first: nvd pins remove {folder} --all",
            )
        if _state(former.manifest) == _state(now.manifest):  # an exchange that was killed
            raise NvdError(f"{folder} has no former state", remedy="`nvd resume` refines it")
        then.check()
        changed = {name for name in now.names if _sum(now.edit_path(name)) != sums.get(name)}
        painted = {n: p for n, p in edit_paths(now, {}).items() if n in changed}
        entries = ()
        if _sum(stack_path(now)) != sums.get(""):
            entries = read_stack(now).entries
            stack_path(then).unlink(missing_ok=True)
        carried = carry_edits(now, then, painted, progress, entries) if painted or entries else None
        for name in changed - set(painted):  # what was painted is wiped off
            copy_file(then.texture_path(name), then.edit_path(name), durable=True)
        if carried is not None:
            _write(now, then, carried, progress)
        _keep_former(now, then)
        write_manifest(now.folder, then.manifest)
    return then


def take_paint(folder: Path, progress: Progress | None = None) -> dict:
    """Bring over what was painted on the former state since it was exchanged; facts.

    A program that had unsaved paint at that moment saves it there. NvdError where a layer was
    painted on in both states.
    """
    progress = progress or Progress()
    now = Shot.open(folder)
    with writing_when_free(now.folder, COMMAND, progress):
        now = Shot.open(folder)
        former = read_former(now)
        old = Shot(now.folder, former.manifest)
        late = {n for n in old.names if _sum(old.edit_path(n)) != former.before.get(n)}
        both = [n for n in now.names if n in late and _sum(now.edit_path(n)) != former.edits.get(n)]
        if both:
            raise NvdError(
                f"{' and '.join(both)} was painted on before and after the refinement",
                expected="paint on one of them",
                found=f"{old.edit_path(both[0])} and {now.edit_path(both[0])}",
                remedy="put them together in an image editor; the second is what is shown",
            )
        painted = {n: p for n, p in edit_paths(old, {}).items() if n in late}
        if painted:
            _write(old, now, carry_edits(old, now, painted, progress), progress)
        for name in late - set(painted):  # wiped off
            copy_file(now.texture_path(name), now.edit_path(name), durable=True)
        _keep_former(old, now)
    return {"taken": sorted(late)}


@dataclass(frozen=True)
class Former:
    """What former.json says. Sums of files by layer, "" for the stack."""

    manifest: Manifest
    edits: dict[str, int]
    """of the edits that were made of the former state's"""
    before: dict[str, int]
    """of the former state's own"""


def read_former(shot: Shot) -> Former:
    """The state before; NvdError where there is none, or it is damaged."""
    path = inside(shot.folder, FORMER)
    if not path.is_file():
        raise NvdError(
            f"{shot.folder} has no former state",
            expected="a folder that was refined in place",
            remedy="a refinement by `nvd refine` lies beside it: open the folder before it",
        )
    try:
        value = read_json(path)
        if not isinstance(value, dict):
            raise Unreadable("no list of keys")
        if (value.get("schema"), value.get("version")) != (SCHEMA, VERSION):
            raise Unreadable(f"not schema {SCHEMA} version {VERSION}")
        for name in ("edits", "before"):
            sums = value.get(name)
            if not isinstance(sums, dict) or not all(type(s) is int for s in sums.values()):
                raise Unreadable(f"{name}: expected whole numbers by layer")
        manifest = manifest_in(shot.folder, value.get("manifest"), str(path))
    except Unreadable as error:
        raise NvdError(
            f"cannot read {path}", found=str(error), remedy="remove it: the present state stays"
        ) from error
    if manifest.names != shot.names:
        raise NvdError(f"{path} is of other layers", remedy="remove it: the present state stays")
    return Former(manifest, value["edits"], value["before"])


def remove_former(shot: Shot, progress: Progress) -> None:
    """Forget the former state and remove its maps and networks; its edits are left."""
    with writing_when_free(shot.folder, COMMAND, progress):
        inside(shot.folder, FORMER).unlink(missing_ok=True)
        _remove_others(Shot.open(shot.folder))


def is_painting(folder: Path) -> bool:
    """Whether somebody has unsaved paint of the folder."""
    try:
        touched = inside(folder, BRUSH).stat().st_mtime
    except OSError:
        return False
    return abs(time.time() - touched) < BRUSH_SECONDS


def _wait_for_brush(folder: Path, progress: Progress) -> None:
    said = False
    while is_painting(folder):
        if not said:
            progress.message(f"the refinement of {folder} waits until its paint is saved")
            said = True
        progress.check()
        time.sleep(LOOK)


def _painted(shot: Shot) -> list[str]:
    """The layers that have paint or entries of the stack."""
    layers = {*edit_paths(shot, {}), *(entry.layer for entry in read_stack(shot).entries)}
    return [name for name in shot.names if name in layers]


def _places(
    old: Shot, new: Shot, names: Sequence[str], progress: Progress
) -> dict[str, Places | None]:
    return find_all_places(old, new, names, progress) if names else {}


def _carry_all(old: Shot, new: Shot, known: dict[str, Places | None], progress: Progress) -> None:
    """Write all edits of `new`: those of `old` carried over, and textures where none is."""
    painted = edit_paths(old, {})
    entries = read_stack(old).entries
    for name in new.names:
        if name not in painted:
            copy_file(new.texture_path(name), new.edit_path(name), durable=True)
    stack_path(new).unlink(missing_ok=True)  # of an exchange that was killed
    if painted or entries:
        _write(old, new, carry_edits(old, new, painted, progress, entries, known), progress)


def _write(old: Shot, new: Shot, carried: Carried, progress: Progress) -> None:
    for name in carried.lost:  # said below; the sheet is the new one's own
        if name in new.names:
            copy_file(new.texture_path(name), new.edit_path(name), durable=True)
    write_edits(old, new, carried)
    for caution in carried.cautions():
        progress.caution(caution)


def _keep_former(now: Shot, new: Shot) -> None:
    """Note the state `now` as the former of `new`, whose edits are written."""
    value = {
        "schema": SCHEMA,
        "version": VERSION,
        "manifest": as_written(now.folder, now.manifest),
        "edits": _sums(new),
        "before": _sums(now),
    }
    write_json(inside(now.folder, FORMER), value, durable=True)


def _sums(shot: Shot) -> dict[str, int]:
    return {name: _sum(shot.edit_path(name)) for name in shot.names} | {"": _sum(stack_path(shot))}


def _sum(path: Path) -> int:
    """Of a file's content; 0 where there is none."""
    return zlib.crc32(path.read_bytes()) if path.is_file() else 0


def _remove_others(shot: Shot) -> None:
    """Remove the maps and networks of states that neither manifest nor former.json names.

    Edits and textures stay: paint is small, and another program may have them open.
    """
    kept = {_state(shot.manifest)}
    if inside(shot.folder, FORMER).is_file():
        kept.add(_state(read_former(shot).manifest))
    for path in shot.folder.iterdir():
        name = path.name
        if STATE.fullmatch(name) and name not in kept and not _is_newer(name, kept):
            remove_folder(shot.folder, name)
    if None not in kept:
        remove_folder(shot.folder, "maps")


def _state(manifest: Manifest) -> str | None:
    """The folder of a state; None for the first, which lies in the decomposition's folder."""
    return manifest.networks


def _is_newer(name: str, kept: set[str | None]) -> bool:
    """Whether a state's folder has a greater number: it may be in the making."""
    numbers = [int(state.rpartition(".")[2]) for state in kept if state and STATE.fullmatch(state)]
    return int(name.rpartition(".")[2]) > max(numbers, default=0)
