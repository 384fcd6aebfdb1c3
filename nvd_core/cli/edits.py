"""The commands `nvd edits`: the stack of edits that lies on the painted sheets."""

import argparse
import re
from pathlib import Path
from typing import Any, get_args

from nvd_core.cli.arguments import frame_range, whole
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.shown import shown
from nvd_core.runtime.sizes import MOST_FRAMES
from nvd_core.shot.stack_words import After, Blend, Kind

OFF = 2.0
"""texels from which on it is said that corners given on a frame are not exact"""
_NUMBER = r"[-+]?(?:[0-9]{1,9}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})"


def add_edits_commands(commands: argparse._SubParsersAction) -> list[argparse.ArgumentParser]:
    """Add `nvd edits` with its subcommands."""
    edits = commands.add_parser("edits", help="edits in layers of their own, each in its frames")
    what = edits.add_subparsers(required=True, metavar="WHAT")

    listed = what.add_parser("list", help="show the stack, bottom to top")
    add = what.add_parser(
        "add", help="put a picture, movie, words, strokes, paint or an adjustment on top"
    )
    change = what.add_parser("set", help="change an entry")
    move = what.add_parser("move", help="move an entry up or down")
    remove = what.add_parser("remove", help="take entries out; their files stay until purge")
    purge = what.add_parser("purge", help="delete the files that no entry uses any more")
    flat = what.add_parser("flatten", help="write it as pictures, which Blender's nodes can show")
    parsers = [listed, add, change, move, remove, purge, flat]
    for parser in parsers:
        parser.add_argument("shot", type=Path)

    add.add_argument(
        "file",
        type=Path,
        nargs="?",
        help="picture, movie, folder or pattern, which is copied; an SVG's strokes",
    )
    add.add_argument("--layer", required=True, help="layer that it lies on")
    add.add_argument("--name", required=True, help="name of the entry")
    add.add_argument(
        "--kind",
        choices=get_args(Kind),
        help="by itself what FILE is; text with --text; an adjustment with neither",
    )
    _add_keys(add)
    change.add_argument("name", help="name of the entry")
    change.add_argument("--rename", metavar="NAME", help="another name for it")
    change.add_argument("--file", type=Path, help="another file, which is copied")
    change.add_argument("--all-frames", action="store_true", help="show it in all frames")
    change.add_argument("--whole", action="store_true", help="stretch it over the whole texture")
    shows = change.add_mutually_exclusive_group()
    shows.add_argument("--on", dest="on", action="store_const", const=True, help="show it")
    shows.add_argument("--off", dest="on", action="store_const", const=False, help="hide it")
    _add_keys(change)
    move.add_argument("name", help="name of the entry")
    where = move.add_mutually_exclusive_group(required=True)
    where.add_argument("--up", action="store_true", help="over the next")
    where.add_argument("--down", action="store_true", help="under the one before")
    where.add_argument("--to", type=whole(1, 200), metavar="N", help="place, 1 at the bottom")
    remove.add_argument("name", nargs="+", help="names of entries")

    listed.set_defaults(command=_list)
    add.set_defaults(command=_add)
    change.set_defaults(command=_set)
    move.set_defaults(command=_move)
    remove.set_defaults(command=_remove)
    purge.set_defaults(command=_purge)
    flat.add_argument("--remove", action="store_true", help="remove the pictures instead")
    flat.set_defaults(command=_flatten)
    return parsers


def add_entry_range(command: argparse.ArgumentParser) -> None:
    """`--frames` and `--fade` of an entry."""
    command.add_argument(
        "--frames", type=frame_range, metavar="A-B", help="frames of the clip, counted from 0"
    )
    command.add_argument(
        "--fade", type=fade, metavar="IN,OUT", help="frames in which it comes and goes"
    )


def _add_keys(command: argparse.ArgumentParser) -> None:
    add_entry_range(command)
    command.add_argument("--opacity", type=numbers(1), metavar="0-1")
    command.add_argument("--blend", choices=get_args(Blend), help="how it mixes with what is below")
    command.add_argument(
        "--corners",
        type=numbers(8),
        metavar='"u,v u,v u,v u,v"',
        help="top left, top right, bottom right, bottom left in shares of the texture",
    )
    command.add_argument(
        "--on-frame", type=whole(0, MOST_FRAMES - 1), metavar="T", help="--at is of this frame"
    )
    command.add_argument(
        "--at", type=numbers(8), metavar="x,y,x,y,x,y,x,y", help="the corners, in its pixels"
    )
    command.add_argument("--start", type=int, metavar="T", help="frame of a movie's first picture")
    command.add_argument("--after", choices=get_args(After), help="behind a movie's last picture")
    command.add_argument("--text", metavar="WORDS", help="words, fitted into the corners")
    command.add_argument("--font", type=Path, metavar="FILE", help=".ttf or .otf, which is copied")
    command.add_argument("--colour", type=numbers(3), metavar="r,g,b", help="of words, 0 to 1")
    command.add_argument(
        "--keep-width",
        action=argparse.BooleanOptionalAction,
        help="strokes are as wide, and words as large, in every frame: drawn over the layer",
    )
    command.add_argument(
        "--pixels",
        type=numbers(1),
        metavar="NUMBER",
        help="width of strokes, or size of words that keep it, in pixels of the plate",
    )
    command.add_argument("--hue", type=numbers(1), metavar="DEGREES")
    for name in ("saturation", "gain", "gamma"):
        command.add_argument(f"--{name}", type=numbers(1), metavar="NUMBER")
    command.add_argument(
        "--mask", type=Path, metavar="IMAGE", help="white where an adjustment works; it is copied"
    )


def numbers(count: int):
    """The reader of so many numbers with commas or spaces between them: a list, or the one."""

    def read(text: str) -> list[float] | float:
        parts = re.split(r"[\s,]+", text.strip())
        if len(parts) != count or not all(re.fullmatch(_NUMBER, part) for part in parts):
            wanted = "a number" if count == 1 else f"{count} numbers with commas between"
            raise argparse.ArgumentTypeError(f"expected {wanted}, found {shown(text)}")
        values = [float(part) for part in parts]
        return values[0] if count == 1 else values

    return read


def fade(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,6}),([0-9]{1,6})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected IN,OUT, such as 5,5, found {shown(text)}")
    return int(match[1]), int(match[2])


def said_range(parsed: argparse.Namespace) -> dict[str, Any]:
    """What `add_entry_range` has read, as keys of an entry."""
    said: dict[str, Any] = {}
    if parsed.frames:
        said["frames"] = list(parsed.frames)
    if parsed.fade:
        said["fade_in"], said["fade_out"] = parsed.fade
    return said


def _said(parsed: argparse.Namespace) -> dict[str, Any]:
    """The keys that were given, but for the corners."""
    said = said_range(parsed)
    plain = ("opacity", "blend", "start", "after", "text", "colour", "keep_width", "pixels")
    for key in (*plain, "hue", "saturation", "gain", "gamma"):
        if getattr(parsed, key) is not None:
            said[key] = getattr(parsed, key)
    if "text" in said:
        said["text"] = said["text"].replace("\\n", "\n")
    return said


def _corners(
    parsed: argparse.Namespace, shot: Any, layer: str, progress: Progress
) -> dict[str, Any]:
    """The corners that were given, as a key of an entry."""
    if (parsed.on_frame is None) != (parsed.at is None) or (parsed.at and parsed.corners):
        raise NvdError(
            "--on-frame and --at go together, and --corners without them",
            remedy="give corners of the texture with --corners, or of a frame with both others",
        )
    if parsed.corners:
        return {"corners": _pairs(parsed.corners)}
    if not parsed.at:
        return {}
    import numpy as np

    from nvd_core.editing.stack_edit import corners_on_frame

    places = np.array(_pairs(parsed.at))
    corners, off = corners_on_frame(shot, layer, parsed.on_frame, places)
    if off > OFF:
        progress.caution(
            f"the layer bends there: the corners are off by {off:.1f} texels in the mean"
        )
    return {"corners": [list(corner) for corner in corners]}


def _strokes(parsed: argparse.Namespace, shot: Any, layer: str, progress: Progress) -> Any:
    """The strokes of the SVG that is given, on the layer's texture."""
    import numpy as np

    from nvd_core.editing.stroke_places import on_frame, on_texture
    from nvd_core.media.svg import read_svg

    if parsed.corners and (parsed.at or parsed.on_frame is not None):
        raise NvdError(
            "--corners are of the texture, and --on-frame and --at of a frame",
            remedy="give one of both",
        )
    if parsed.at and parsed.on_frame is None:
        raise NvdError("--at needs a frame", remedy="say which with --on-frame T")
    drawing = read_svg(parsed.file)
    if drawing.filled:
        progress.caution(
            f"{drawing.filled} shapes have a fill, which strokes have not: bring the drawing as a "
            "picture (PNG) where it matters"
        )
    if parsed.on_frame is None:
        corners = _pairs(parsed.corners) if parsed.corners else None
        return on_texture(shot, layer, drawing, corners).strokes
    places = np.array(_pairs(parsed.at)) if parsed.at else None
    placed = on_frame(shot, layer, parsed.on_frame, drawing, places)
    if placed.lost:
        progress.caution(f"{placed.lost:.0%} of the strokes' points lie beside the layer: left out")
    return placed.strokes


def _pairs(flat: list[float]) -> list[list[float]]:
    return [flat[n : n + 2] for n in range(0, len(flat), 2)]


def _list(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.shot.edit_document import said_of
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.stack import read_stack

    stack = read_stack(Shot.open(parsed.shot))
    if parsed.json:
        return {"entries": [said_of(entry) for entry in stack.entries]}
    return {
        "entries": len(stack.entries),
        **{f"{n}": _line(said_of(e)) for n, e in enumerate(stack.entries, start=1)},
    }


def _line(said: dict) -> str:
    """An entry in words."""
    rest = {key: value for key, value in said.items() if key not in ("name", "kind", "layer")}
    return f"{said['name']}, {said['kind']} on {said['layer']} " + shown(rest, 400)


def _add(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.stack_edit import add_entry
    from nvd_core.media.sequences import is_movie, is_pattern
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.edit_document import said_of
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    kind, file = parsed.kind, parsed.file
    if kind is None and file is not None:
        moves = is_movie(file) or is_pattern(file) or file.is_dir()
        drawn = file.suffix.lower() == ".svg"
        kind = "strokes" if drawn else "movie" if moves else "picture"
    kind = kind or ("text" if parsed.text is not None else "adjustment")
    with writing(shot.folder, "nvd edits", progress):
        layer = shot.layer(parsed.layer).name
        said = {"name": parsed.name, "layer": layer, "kind": kind}
        said |= _said(parsed)
        files, strokes = _files(parsed), None
        if kind == "strokes" and files.pop("file", None) is not None:
            strokes = _strokes(parsed, shot, layer, progress)
        else:
            said |= _corners(parsed, shot, layer, progress)
        entry = add_entry(shot, said, files, strokes=strokes)
    return said_of(entry)


def _files(parsed: argparse.Namespace) -> dict[str, Path]:
    given = {key: getattr(parsed, key) for key in ("file", "font", "mask")}
    return {key: path for key, path in given.items() if path is not None}


def _set(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.stack_edit import set_entry
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.edit_document import said_of
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.stack import read_stack

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, "nvd edits", progress):
        stack = read_stack(shot)
        old = stack.entries[stack.number(parsed.name)]
        if old.kind == "strokes" and (parsed.file or parsed.corners or parsed.at or parsed.whole):
            raise NvdError(
                f"the strokes {old.name} have their places in their file",
                remedy="remove the entry, and add the SVG again where it is to be",
            )
        said = _said(parsed) | _corners(parsed, shot, old.layer, progress)
        if parsed.rename:
            said["name"] = parsed.rename
        if parsed.on is not None:
            said["on"] = parsed.on
        if parsed.all_frames:
            said["frames"] = None
        if parsed.whole:
            said["corners"] = None
        entry = set_entry(shot, parsed.name, said, _files(parsed))
    return said_of(entry)


def _move(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.stack_edit import move_entry
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot
    from nvd_core.shot.stack import read_stack

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, "nvd edits", progress):
        number = read_stack(shot).number(parsed.name)
        to = parsed.to - 1 if parsed.to else number + (1 if parsed.up else -1)
        return {"entries": move_entry(shot, parsed.name, to)}


def _remove(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.stack_edit import remove_entries
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, "nvd edits", progress):
        return {"entries": remove_entries(shot, parsed.name)}


def _purge(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.stack_edit import purge
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, "nvd edits", progress):
        return {"deleted": purge(shot)}


def _flatten(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.editing.flatten import flat_bytes, flatten, remove_flat
    from nvd_core.runtime.folder_lock import writing
    from nvd_core.shot.shot import Shot

    shot = Shot.open(parsed.shot)
    with writing(shot.folder, "nvd edits", progress):
        if parsed.remove:
            return {"removed_bytes": remove_flat(shot)}
        made = flatten(shot, progress)
        return {
            "layers": {name: {"first": o.first, "count": o.count} for name, o in made.items()},
            "bytes": flat_bytes(shot),
        }
