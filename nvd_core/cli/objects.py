"""The command `nvd objects`: what moves by itself in a clip, and what is to become of it."""

import argparse
import os
from pathlib import Path

from nvd_core.cli.arguments import add_frames, frame_rate, start_number
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.shown import shown


def names(text: str) -> list[str]:
    """Names with commas between them."""
    found = [name for name in text.split(",") if name]
    if not found:
        raise argparse.ArgumentTypeError(f"expected NAME,NAME, found {shown(text)}")
    return found


def new_name(text: str) -> tuple[str, str]:
    """An old name and a new one."""
    from re import fullmatch

    from nvd_core.runtime.inside import NAME

    old, separator, new = text.partition("=")
    if not (old and separator and fullmatch(NAME, new)):
        raise argparse.ArgumentTypeError(f"expected OLD=NEW, found {shown(text)}")
    return old, new


def add_objects(commands: argparse._SubParsersAction) -> argparse.ArgumentParser:
    """Add its parser."""
    objects = commands.add_parser(
        "objects", help="find what moves by itself in a clip; keep, merge, rename or drop it"
    )
    objects.add_argument(
        "source", help="the clip, as `nvd decompose` takes it; or a FOLDER that this command made"
    )
    objects.add_argument("--out", type=Path, metavar="FOLDER", help="folder to make")
    add_frames(objects)
    objects.add_argument(
        "--start",
        type=start_number,
        metavar="source|N",
        help="count --frames by the source's own numbers, or from N",
    )
    objects.add_argument(
        "--missing",
        choices=("error", "hold", "skip"),
        default="error",
        help="as `nvd decompose` has it, and so the next two",
    )
    objects.add_argument("--count-at", type=frame_rate, metavar="FPS")
    objects.add_argument("--deinterlace", action="store_true")
    objects.add_argument(
        "--merge",
        type=names,
        action="append",
        default=[],
        metavar="A,B",
        help="make one object of several, called as the first",
    )
    objects.add_argument(
        "--drop", type=names, action="append", default=[], metavar="C", help="leave objects out"
    )
    objects.add_argument(
        "--keep", type=names, action="append", default=[], metavar="A", help="and these alone stay"
    )
    objects.add_argument(
        "--rename",
        type=new_name,
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="call an object something else; after the others",
    )
    objects.set_defaults(command=_objects)
    return objects


def _objects(parsed: argparse.Namespace, progress: Progress) -> dict:
    from nvd_core.object_folder import OBJECTS, change

    folder = Path(parsed.source)
    changes = {
        "merge": parsed.merge,
        "drop": [name for some in parsed.drop for name in some],
        "keep": [name for some in parsed.keep for name in some],
        "rename": parsed.rename,
    }
    if (folder / OBJECTS).is_file():
        if parsed.out or parsed.frames or parsed.start is not None:
            raise NvdError(
                f"{folder} has its objects already",
                remedy="leave out --out, --frames and --start; or give the clip",
            )
        return change(folder, **changes, progress=progress)
    if parsed.out is None:
        raise NvdError(
            "nothing says where the objects are to go",
            expected="--out FOLDER, beside a clip; or a folder that `nvd objects` made",
            found=str(folder),
            remedy="add --out FOLDER",
        )
    from nvd_core.job import Job
    from nvd_core.objects import objects_of

    job = Job(
        source=os.path.abspath(parsed.source),
        frames=list(parsed.frames) if parsed.frames else None,
        start=parsed.start,
        missing=parsed.missing,
        count_at=parsed.count_at.as_integer_ratio() if parsed.count_at else None,
        deinterlace=parsed.deinterlace,
    )
    found = objects_of(job, parsed.out, progress)
    if any(changes.values()):
        found |= change(parsed.out, **changes, progress=progress)
    return found


def chosen_objects(parsed: argparse.Namespace) -> list[list[str]]:
    """Names and masks of the objects in the folder of `nvd decompose --objects`."""
    if parsed.objects is None:
        return []
    from nvd_core.object_folder import masks_of

    return masks_of(parsed.objects)
