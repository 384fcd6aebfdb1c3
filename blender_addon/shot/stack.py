"""The stack of a shot: what lies on its painted layers, bottom to top, in frames of its own.

    item = add_paint(entry, entry.layers["toy"])       # a transparent image to paint on
    item.has_range, item.from_frame, item.to_frame = True, 112, 140     # the timeline's frames
    add_file(entry, layer, "picture", "/logos/logo.png")
    move(entry, item, 1); remove(entry, item)

Entries are kept on the shot, and with Save Paint, a save of the .blend and whatever renders, in the
folder's edits/stack.json, which the engine obeys. Pictures are copied into edits/stack/. A file
stays there when its entry is removed, so that undo finds it. The module knows nothing of shots.py,
which reads the stack with the folder.
"""

import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from ..blender.inside import inside
from ..blender.pixels import set_space
from ..blender.redraw import redraw
from ..blender.storage import stored_path
from ..blender.undo import name_image
from . import file_stamps, flat_nodes, stack_file
from .edit_document import write_beside
from .folder import Shot, ShotError, is_file
from .image_header import check_image
from .stack_entry import CORNERS, WHOLE, NVD_PG_stack_entry, free_name
from .stack_file import FONTS, MOST_ENTRIES, MOVIES, PICTURES, PLACE, Corners, Entry

_TITLES = {
    "paint": "Paint",
    "picture": "Picture",
    "movie": "Movie",
    "text": "Text",
    "strokes": "Strokes",
    "adjustment": "Adjustment",
}


def entries_of(entry) -> list[Entry]:
    """The stack as the folder's file has it, bottom to top."""
    return [item.stored for item in entry.stack]


def images(entry) -> Iterator[bpy.types.Image]:
    """Every image that an entry of the stack shows."""
    for item in entry.stack:
        yield from (image for image in (item.image, item.mask_image) if image is not None)


def painted_images(entry) -> list[bpy.types.Image]:
    """The images that are painted on."""
    found = [item.image for item in entry.stack if item.kind == "paint"]
    return [image for image in found if image is not None]


def items_on(entry, layer) -> list[NVD_PG_stack_entry]:
    """The entries on a layer, bottom to top."""
    return [item for item in entry.stack if item.layer == layer.name]


def shown_on(entry, layer, t: int) -> list[tuple[NVD_PG_stack_entry, float]]:
    """The entries that show on a layer in frame `t` of the clip, with their opacity there."""
    found = [(item, item.stored.strength(t, entry.frames)) for item in items_on(entry, layer)]
    return [(item, strength) for item, strength in found if strength > 0]


def in_use(entry) -> bool:
    """Whether any entry shows anywhere."""
    return any(item.on for item in entry.stack)


def take_up(entry, shot: Shot, found: list[Entry] | None) -> None:
    """Let the stack be as the folder's file says, where another program has changed that since it
    was read or written here; and see that entries have their images.
    """
    theirs = stack_file.digest(found)
    if found is not None and theirs != entry.stack_seen:
        _set(entry, found)
    entry.stack_seen = theirs
    for item in entry.stack:
        _find_images(entry, shot, item)
    if found is None:  # where the file was removed, the stack here is not saved any more
        entry.stack_saved = stack_file.EMPTY
    else:
        _known(entry).add(theirs)
    flat_nodes.follow(entry)


def follow_file(entry, shot: Shot, found: list[Entry] | None) -> bool | None:
    """Take up a file that has changed: whether it says something new; None where the stack here has
    changed as well, and neither is touched.
    """
    theirs = stack_file.digest(found)
    mine = stack_file.digest(entries_of(entry))
    if found is not None and theirs == mine:
        entry.stack_seen = entry.stack_saved = mine
    if found is None or theirs in (entry.stack_seen, mine):
        return False
    if mine != (entry.stack_saved or stack_file.EMPTY):
        return None
    take_up(entry, shot, found)
    return True


def take_in(entry, shot: Shot, names: list[str]) -> None:
    """Lay on top the entries of these names that the engine has added to the folder's file."""
    found = stack_file.read_stack(shot) or []
    for one in found:
        if one.name in names and one.name not in entry.stack:
            _added(entry, shot, one)
    before = stack_file.digest([one for one in found if one.name not in names])
    theirs = stack_file.digest(found)
    if before in (entry.stack_seen or stack_file.EMPTY, *_known(entry)):
        entry.stack_seen = theirs
    if theirs == stack_file.digest(entries_of(entry)):
        entry.stack_seen = entry.stack_saved = theirs
    _known(entry).add(theirs)


def free_stem(entry, wanted: str) -> str:
    """A name that none has, and with which no entry's name begins."""
    taken = {item.name.casefold() for item in entry.stack}
    number, name = 2, wanted
    while any(f"{other} ".startswith(f"{name.casefold()} ") for other in taken):
        name, number = f"{wanted}-{number}", number + 1
    return name


_written: dict[str, set[str]] = {}
"""by a shot's id: the stacks that were read or written here, which an undo may have taken back"""


def _known(entry) -> set[str]:
    return _written.setdefault(entry.id, set())


def _set(entry, found: list[Entry]) -> None:
    chosen = entry.stack[entry.active_entry].name if _active(entry) else ""
    entry.stack.clear()
    for one in found:
        entry.stack.add().take(one, entry.frames)
    names = [item.name for item in entry.stack]
    entry.active_entry = names.index(chosen) if chosen in names else len(names) - 1
    entry.stack_saved = stack_file.digest(entries_of(entry))


def _active(entry) -> bool:
    return 0 <= entry.active_entry < len(entry.stack)


def has_unsaved(entry) -> bool:
    """Whether the stack was changed here since the folder's file was read or written."""
    mine = stack_file.digest(entries_of(entry))
    return mine != (entry.stack_saved or stack_file.EMPTY)


def save(entry) -> None:
    """Write the stack into the shot's folder where it has changed.

    ShotError where another program has changed the file as well, and where the disk refuses.
    """
    if entry.missing or not (len(entry.stack) or stack_file.is_there(entry.path)):
        return
    shot, mine = entry.read(), stack_file.digest(entries_of(entry))
    theirs = stack_file.digest(stack_file.read_stack(shot))
    if theirs == mine:
        entry.stack_seen = entry.stack_saved = mine
        return
    is_ours = theirs in ("", entry.stack_seen, *_known(entry))
    if not is_ours and mine == (entry.stack_saved or stack_file.EMPTY):
        return  # nothing was changed here
    if not is_ours:
        path = stack_file.stack_path(shot)
        raise ShotError(
            f"{path} was changed by another program, and the stack here",
            "press Rebuild Nodes to take what the file says, or remove the file to keep yours",
        )
    stack_file.write_stack(shot, entries_of(entry))
    _known(entry).add(mine)
    entry.stack_seen = entry.stack_saved = mine


def add_paint(entry, layer, name: str = "") -> NVD_PG_stack_entry:
    """A transparent image as large as the layer's texture, on top; its file is written at once."""
    _check_room(entry)
    shot = entry.read()
    size = tuple(layer.learned.size) if layer.learned else (0, 0)
    if 0 in size:
        raise ShotError(f"the texture of {layer.name} cannot be read", "open the shot again")
    item_name = free_entry_name(entry, name or _TITLES["paint"])
    relative = _free_file(shot, item_name, ".png")
    write_beside(inside(shot.folder, relative, ShotError), lambda path: _transparent(path, *size))
    return _added(entry, shot, Entry(item_name, layer.name, "paint", file=relative))


def add_file(entry, layer, kind: str, source: str | Path, name: str = "") -> NVD_PG_stack_entry:
    """A "picture", "movie" or paint ("paint": a picture of the whole texture) from a file, which is
    copied into the folder. Of numbered pictures, `source` for a movie is any of them.
    """
    _check_room(entry)
    shot, source = entry.read(), Path(source)
    item_name = free_entry_name(entry, name or source.stem)
    if kind == "movie" and source.suffix.lower() in PICTURES:
        relative = _copied_pictures(shot, item_name, source)
    else:
        relative = copied(shot, item_name, source, MOVIES if kind == "movie" else PICTURES)
    return _added(entry, shot, Entry(item_name, layer.name, kind, file=relative))


def add_plain(entry, layer, kind: str, name: str = "", **values) -> NVD_PG_stack_entry:
    """An entry of "text" or "adjustment"; `values` as in stack_file.Entry."""
    _check_room(entry)
    item_name = free_entry_name(entry, name or _TITLES[kind])
    return _added(entry, entry.read(), Entry(item_name, layer.name, kind, **values))


def set_file(entry, item, what: str, source: str | Path) -> None:
    """Give an adjustment its "mask", or words their "font": a copy in the folder. "": none."""
    shot = entry.read()
    kinds = PICTURES if what == "mask" else FONTS
    setattr(item, what, copied(shot, f"{item.name} {what}", Path(source), kinds) if source else "")
    if what == "mask":
        item.mask_image = None
        _find_images(entry, shot, item)
    redraw()


def set_corners(item, corners: Corners | None) -> None:
    """Pin the entry by four corners, or with None stretch it over the whole sheet."""
    item.has_corners = corners is not None
    for name, place in zip(CORNERS, corners or WHOLE, strict=True):
        setattr(item, name, place)


def duplicate(entry, item) -> NVD_PG_stack_entry:
    """The same once more, above it; paint in a file of its own, as it was last saved."""
    _check_room(entry)
    shot, stored = entry.read(), item.stored
    name = free_entry_name(entry, item.name)
    if item.kind == "paint":
        source = inside(shot.folder, item.file, ShotError)
        relative = copied(shot, name, source, PICTURES)
    else:
        relative = stored.file
    values = {**stored.__dict__, "name": name, "file": relative}
    at = list(entry.stack).index(item)
    made = _added(entry, shot, Entry(**values))
    entry.stack.move(len(entry.stack) - 1, at + 1)
    entry.active_entry = at + 1
    return entry.stack[made.name if made.name == name else at + 1]


def remove(entry, item) -> None:
    """Take the entry off the stack. Its file stays in the folder, and its image with unsaved paint
    in the .blend.
    """
    for image in (item.image, item.mask_image):
        if image is not None and (image.is_dirty or image.packed_file is not None):
            image.use_fake_user = True
    at = list(entry.stack).index(item)
    entry.stack.remove(at)
    entry.active_entry = max(min(at, len(entry.stack) - 1), 0)
    flat_nodes.follow(entry)
    redraw()


def move(entry, item, by: int) -> None:
    """Up (1) or down (-1) among the entries of its layer."""
    own = [index for index, other in enumerate(entry.stack) if other.layer == item.layer]
    at = list(entry.stack).index(item)
    place = own.index(at) + by
    if 0 <= place < len(own):
        entry.stack.move(at, own[place])
        entry.active_entry = own[place]
    redraw()


def copy_to(twin, entry) -> None:
    """Let another shot of the same folder have this one's stack, with the same images."""
    for item in entry.stack:
        made = twin.stack.add()
        made.take(item.stored, entry.frames)
        made.image, made.mask_image, made.problem = item.image, item.mask_image, item.problem
    for name in ("active_entry", "stack_seen", "stack_saved", "frames"):
        setattr(twin, name, getattr(entry, name))


def name_images(entry) -> None:
    """Let the entries' images carry the shot's name and theirs."""
    for item in entry.stack:
        if item.image is not None:
            name_image(item.image, f"{entry.name} {item.layer} {item.name}")


def _check_room(entry) -> None:
    if len(entry.stack) >= MOST_ENTRIES:
        raise ShotError(f"the stack has {MOST_ENTRIES} entries, the most", "remove one first")


def free_entry_name(entry, wanted: str) -> str:
    return free_name(wanted, {item.name for item in entry.stack})


def _added(entry, shot: Shot, stored: Entry) -> NVD_PG_stack_entry:
    made = entry.stack.add()
    made.take(stored, shot.frames)
    entry.active_entry = len(entry.stack) - 1
    _find_images(entry, shot, made)
    flat_nodes.follow(entry)
    redraw()
    return made


def _find_images(entry, shot: Shot, item) -> None:
    """Load what the entry shows, where Blender has not; why it cannot be goes into `problem`."""
    item.problem = ""
    wanted = {"image": item.file if item.kind in ("paint", "picture") else "", "mask_image": ""}
    if item.kind == "adjustment":
        wanted["mask_image"] = item.mask
    for what, relative in wanted.items():
        image = None
        if relative:
            try:
                path = inside(shot.folder, relative, ShotError)
                image = _image(path, f"{entry.name} {item.layer} {item.name}")
            except ShotError as error:
                item.problem = str(error)
        if getattr(item, what) != image:
            setattr(item, what, image)
    if item.kind == "movie" and "%" not in item.file:
        path = inside(shot.folder, item.file, ShotError)
        if not is_file(path):
            item.problem = f"{path} is missing"


def _image(path: Path, name: str) -> bpy.types.Image:
    """Blender's image of the file, with paint not yet saved where it was opened before."""
    known = next((i for i in bpy.data.images if i.get("nvd_path") == str(path)), None)
    if known is not None:
        return known
    check_image(path, ShotError)
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise ShotError(f"Blender cannot read {path}", "copy it again") from error
    if not image.size[0]:
        bpy.data.images.remove(image)
        raise ShotError(f"Blender cannot read {path}", "copy it again; it may be damaged")
    image["nvd_path"] = str(path)
    set_space(image)
    image.alpha_mode = "CHANNEL_PACKED"
    name_image(image, name)
    image.filepath_raw = stored_path(path)
    file_stamps.note_if_new(image, False)
    return image


def _free_file(shot: Shot, name: str, suffix: str) -> str:
    """A path in the folder that no file has: one of an entry that was removed stays its own."""
    number, relative = 2, f"{PLACE}{_plain(name)}{suffix}"
    while os.path.lexists(inside(shot.folder, relative, ShotError)):
        relative = f"{PLACE}{_plain(name)} {number}{suffix}"
        number += 1
    return relative


def _plain(name: str) -> str:
    """A name that files can have on any system."""
    kept = "".join(c if c.isalnum() or c in " _-" else "_" for c in name).strip(" .") or "entry"
    reserved = {"con", "prn", "aux", "nul"} | {f"{d}{n}" for d in ("com", "lpt") for n in range(10)}
    return f"{kept}_" if kept.casefold() in reserved else kept


def copied(shot: Shot, name: str, source: Path, kinds: tuple[str, ...]) -> str:
    """Copy a file into the folder, beside and renamed; its path there."""
    suffix = source.suffix.lower()
    if suffix not in kinds:
        known = ", ".join(kind[1:].upper() for kind in kinds[:8])
        raise ShotError(f"{source} is none of {known}", "choose another file")
    if suffix in PICTURES:
        check_image(source, ShotError)
    relative = _free_file(shot, name, suffix)
    target = inside(shot.folder, relative, ShotError)
    write_beside(target, lambda path: shutil.copyfile(source, path))
    return relative


def _copied_pictures(shot: Shot, name: str, source: Path) -> str:
    """Copy the numbered pictures that `source` is one of; their pattern in the folder."""
    stem = source.stem
    head = stem.rstrip("0123456789")
    if head == stem:
        raise ShotError(f"{source} has no number", "choose one of numbered pictures, or a movie")
    found = {}
    for path in source.parent.iterdir():
        number = path.stem.removeprefix(head)
        same = path.suffix.lower() == source.suffix.lower() and path.stem.startswith(head)
        if same and number.isascii() and number.isdigit():
            found[int(number)] = path
    folder = _free_file(shot, name, "")
    pattern = f"{folder}/%05d{source.suffix.lower()}"
    for index, number in enumerate(sorted(found)):
        check_image(found[number], ShotError)
        target = inside(shot.folder, pattern % index, ShotError)
        write_beside(target, lambda path, number=number: shutil.copyfile(found[number], path))
    return pattern


def _transparent(path: Path, width: int, height: int) -> None:
    """Write a PNG of 8 bits with nothing on it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data)
        )  # fmt: skip

    packer = zlib.compressobj(1)
    row = bytes(1 + 4 * width)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
