"""Strokes of an entry of the stack: lines on a texture, in a file of edits/stack/.

    {"schema": "nvd.strokes", "version": 1,
     "strokes": [{"points": [[0.31, 0.2], [0.32, 0.21]], "colour": [1, 0.8, 0],
                  "width": 4.0, "share": 0.006}]}

Points are shares of the texture from its top left. `width` is in pixels of the plate, for strokes
that keep it; `share` is a share of the texture's longer side, for those that lie on it as paint.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from nvd_core.runtime.declared import within
from nvd_core.runtime.files import write_json
from nvd_core.shot.edit_document import EditDocument, Share, as_lists

SCHEMA = "nvd.strokes"
VERSION = 1
SUFFIX = ".strokes"
MOST_STROKES = 2000
MOST_POINTS = 50_000
FARTHEST = 100.0
_FILE = EditDocument(
    SCHEMA, VERSION, "strokes", "copy the file again, or remove the entry: nvd edits remove"
)

Place = Annotated[float, within(-FARTHEST, FARTHEST)]


@dataclass(frozen=True)
class Stroke:
    """One line with round ends."""

    points: Annotated[tuple[tuple[Place, Place], ...], Meta(min_length=1, max_length=MOST_POINTS)]
    colour: tuple[Share, Share, Share] = (1.0, 1.0, 1.0)
    """display-encoded"""
    opacity: Share = 1.0
    width: Annotated[float, within(0, 10_000)] = 4.0
    share: Annotated[float, within(0, 100)] = 0.01


@dataclass(frozen=True)
class Strokes:
    """All strokes of a file, the first at the bottom."""

    strokes: Annotated[tuple[Stroke, ...], Meta(max_length=MOST_STROKES)] = ()
    schema: str = SCHEMA
    version: int = VERSION


def read_strokes(path: Path) -> tuple[Stroke, ...]:
    """The strokes of `path`; NvdError where it is missing or damaged."""
    value = _FILE.load(path)
    found: Strokes = _FILE.read(Strokes, value, str(path))
    total = sum(len(stroke.points) for stroke in found.strokes)
    if total > MOST_POINTS:
        raise _FILE.not_valid(str(path), "strokes", f"{MOST_POINTS} points at most", total)
    return found.strokes


def write_strokes(path: Path, strokes: tuple[Stroke, ...]) -> None:
    """Write them, beside and renamed."""
    said = [{key: as_lists(value) for key, value in asdict(one).items()} for one in strokes]
    write_json(path, {"schema": SCHEMA, "version": VERSION, "strokes": said}, durable=True)
