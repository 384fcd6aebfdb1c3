"""Placing a picture on a frame: its four corners where they are to be seen, not on the texture.

    places = first_places(entry, item)             # four corners in the shot's pixels
    job = place(entry, item, python, 12, places)   # `nvd edits set --on-frame`

The engine finds where on the texture the corners lie, and the entry follows every frame from there.
While an artist moves the corners, `current` is what is drawn over the preview (placement_marks.py).
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import bpy
import numpy as np
from bpy.app.handlers import persistent

from ..blender.redraw import redraw
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.process import engine_command
from ..jobs.runner import runner
from ..shot import stack
from ..shot.exr import MapsError
from ..shot.layer_maps import read_alpha
from ..shot.painting import save_edits
from ..shot.shots import NVD_PG_shot, listed_shot
from ..shot.stack_entry import NVD_PG_stack_entry
from ..shot.stack_file import read_stack
from .shot_tool import check_idle, queue_tool

KIND = "placement"
PINNED = ("picture", "movie", "text")
"""kinds of entry that have corners"""
SHARE = 0.3
"""of the frame's height that a picture takes at first"""
LEAST_SHOWN = 0.02
"""share of such a picture's place that shows the layer at least"""
ASIDE = 0.25
"""as much less of a place's share may show the layer where it is nearer to the frame's middle, from
there to the frame's side twice that"""

Places = list[tuple[float, float]]
"""top left, top right, bottom right, bottom left in the shot's pixels, from its top left"""


@dataclass
class Placement:
    """What is being placed: of which shot and entry, on which of the shot's frames."""

    shot: str
    entry: str
    frame: int
    places: Places
    size: tuple[int, int]
    """of the shot's frames"""
    held: int | None = field(default=None)
    """the corner under the mouse, 4 for the inside"""

    def grab(self, x: float, y: float, reach: float) -> None:
        """Hold the corner that is nearest and within `reach` pixels, or the inside."""
        near = min(range(4), key=lambda n: math.dist(self.places[n], (x, y)))
        if math.dist(self.places[near], (x, y)) <= reach:
            self.held = near
        else:
            self.held = 4 if is_inside(self.places, x, y) else None

    def drag(self, x: float, y: float, by_x: float, by_y: float, whole: bool) -> None:
        """Move what is held by so many pixels, to where x, y is; a corner with `whole` scales all
        about the middle.
        """
        if self.held is None:
            return
        if self.held == 4:
            self.places = [(a + by_x, b + by_y) for a, b in self.places]
        elif whole:
            before = math.dist(self.middle, (x - by_x, y - by_y))
            self.scale(math.dist(self.middle, (x, y)) / before if before else 1.0)
        else:
            self.places[self.held] = (x, y)

    def scale(self, factor: float) -> None:
        """About the middle."""
        a, b = self.middle
        self.places = [(a + (x - a) * factor, b + (y - b) * factor) for x, y in self.places]

    @property
    def middle(self) -> tuple[float, float]:
        return sum(x for x, _ in self.places) / 4, sum(y for _, y in self.places) / 4


current: Placement | None = None
_last: dict[tuple[str, str], tuple[int, Places]] = {}
"""by shot and entry: the frame where it was placed, and how"""


def begin(entry: NVD_PG_shot, item: NVD_PG_stack_entry, frame: int) -> Placement:
    """Begin to place an entry on a frame; AddonError where it has no corners, or no such frame."""
    global current
    check(entry, item, frame)
    shot = entry.read()
    known = _last.get((entry.id, item.name))
    places = known[1] if known and known[0] == frame else first_places(entry, item)
    current = Placement(entry.id, item.name, frame, list(places), (shot.width, shot.height))
    redraw()
    return current


def end() -> None:
    """Draw nothing any more."""
    global current
    current = None
    redraw()


def check(entry: NVD_PG_shot, item: NVD_PG_stack_entry, frame: int) -> None:
    if item.kind not in PINNED:
        raise AddonError(
            f"{item.name} covers the whole layer", "place pictures, movies and text on a frame"
        )
    if item.name.startswith("-"):  # the command line would take it for an option
        raise AddonError(f"the name {item.name} begins with a dash", "give it another name")
    check_frame(entry, frame)


def check_frame(entry: NVD_PG_shot, frame: int) -> None:
    if not 0 <= frame < entry.read().frames:
        raise AddonError(
            f"the playhead shows no frame of {entry.name}",
            f"move it to one of the shot's {entry.frames} frames",
        )


def first_places(
    entry: NVD_PG_shot, item: NVD_PG_stack_entry, middle: tuple[float, float] | None = None
) -> Places:
    """In the picture's own shape, about `middle`, by itself that of the frame."""
    shot = entry.read()
    across, down = item.image.size if item.image is not None else (0, 0)
    shape = across / down if across and down else 16 / 9
    high = min(SHARE * shot.height, SHARE * 2 * shot.width / shape)
    wide = high * shape
    x, y = middle or (shot.width / 2, shot.height / 2)
    left, top = x - wide / 2, y - high / 2
    return [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]


def visible_place(entry: NVD_PG_shot, item: NVD_PG_stack_entry, frame: int) -> tuple[float, float]:
    """The middle for `first_places` where most of them shows the entry's layer, in pixels: as near
    to the frame's own as can be. AddonError where the layer does not show in the frame.
    """
    shot = entry.read()
    try:
        alpha = read_alpha(shot, frame, item.layer)
    except MapsError as error:
        raise AddonError(str(error), "copy the folder again with all its files") from error
    left_top, _, right_bottom, _ = first_places(entry, item)
    wide, high = (
        min(max(round(b - a), 1), side)
        for a, b, side in zip(left_top, right_bottom, alpha.shape[::-1], strict=True)
    )
    sums = np.pad(alpha.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    share = sums[high:, wide:] - sums[:-high, wide:] - sums[high:, :-wide] + sums[:-high, :-wide]
    share /= wide * high
    if share.max() < LEAST_SHOWN:
        raise AddonError(
            f"the layer {item.layer} does not show in this frame",
            "go to another frame, or choose another layer",
        )
    y, x = np.indices(share.shape)
    rows, columns = share.shape
    aside = np.hypot((y + 0.5) / rows - 0.5, (x + 0.5) / columns - 0.5)
    top, left = np.unravel_index(np.argmax(share - ASIDE * aside), share.shape)
    return left + (wide - 1) / 2, top + (high - 1) / 2


def is_inside(places: Places, x: float, y: float) -> bool:
    """Whether a pixel lies within the four corners, which may be turned either way."""
    sides = []
    for (a, b), (c, d) in zip(places, places[1:] + places[:1], strict=True):
        sides.append((c - a) * (y - b) - (d - b) * (x - a))
    return all(side >= 0 for side in sides) or all(side <= 0 for side in sides)


def place(
    entry: NVD_PG_shot, item: NVD_PG_stack_entry, python: str | Path, frame: int, places: Places
) -> Job:
    """Save the stack, and queue the job that pins the entry where its corners are to be seen in the
    shot's `frame`, from 0. AddonError where that cannot be.
    """
    check(entry, item, frame)
    check_idle(entry, KIND)
    save_edits(entry)
    at = ",".join(f"{value:.3f}" for corner in places for value in corner)
    words = ["edits", "set", entry.read().folder, item.name, "--on-frame", frame, f"--at={at}"]
    job = queue_tool(
        entry,
        python,
        engine_command(python, *words),
        kind=KIND,
        title=f"{item.name} on the frame",
        step="placing",
        scene=entry.id_data.name,
        shot=entry.id,
    )
    _last[entry.id, item.name] = frame, list(places)
    return job


def job_of(entry: NVD_PG_shot) -> Job | None:
    """The newest job that places something on the shot; None where there is none."""
    return runner.tools.newest(KIND, entry.path)


def _when_ended(job: Job) -> None:
    """Take up what the engine has written into the stack."""
    if job.kind != KIND or job.state != DONE:
        return
    about = job.plan["about"]
    entry = listed_shot(about["scene"], about["folder"], about.get("shot"))
    if entry is None:
        return
    try:
        shot = entry.read()
        taken = stack.follow_file(entry, shot, read_stack(shot))
    except AddonError as error:
        job.fail(error.problem, error.remedy)
        return
    if taken is None:
        job.fail("the stack was changed in the meantime", "press Rebuild Nodes, and place it again")
        return
    redraw()
    bpy.ops.ed.undo_push(message="Place on Frame")


@persistent
def _after_load(_path) -> None:
    end()


def register():
    runner.when_ended.append(_when_ended)
    bpy.app.handlers.load_post.append(_after_load)


def unregister():
    end()
    bpy.app.handlers.load_post.remove(_after_load)
    _last.clear()
    runner.when_ended.remove(_when_ended)
