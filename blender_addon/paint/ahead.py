"""Frames rendered ahead of the playhead by the engine, and shown while Blender plays.

Where the live preview cannot keep the scene's rate, one job in the background renders the painted
frames into the shot's folder, render/ahead/, from the playhead on; each that stands is shown in
place of what the preview would draw (`plate_texture.rendered`). What changes a frame makes all of
them old at once, and they are not shown any more (ahead_state.py). When the artist has paused, the
paint is saved, as by all that renders, and a new job looks which frames have really changed, by the
engine's own index of what each frame shows; those that have not are told of within a moment.

Nothing of this is kept in the .blend, and the job is in nobody's way: it has a queue of its own, no
lock on the shot's folder, and the lowest priority.
"""

import atexit
import shutil
import time
from contextlib import suppress

import bpy

from ..blender.editors import in_stroke
from ..blender.handlers import timer_factory
from ..blender.inside import inside
from ..blender.redraw import redraw
from ..blender.storage import jobs_folder
from ..blender.undo import under_way
from ..blender.words import translated
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import CANCELLED, INTERRUPTED, Job
from ..jobs.lanes import Queue
from ..jobs.process import engine_command
from ..shot import layer_values, painting
from ..shot.folder import Shot, ShotError
from ..shot.shots import NVD_PG_shot
from . import playback, preview
from .ahead_state import State, state_of
from .plate_texture import Rendered, rendered

INTERVAL = 0.25  # seconds between two looks
PAUSE = 1.0
"""seconds without a change, after which is rendered"""
FAR = 24
"""frames that are rendered before the playhead's: with more, the job begins anew at the playhead"""
KIND = "ahead"


class _Ahead:
    """What is rendered ahead, of the one shot that the live preview shows."""

    def __init__(self):
        self.queue = Queue()
        self.job: Job | None = None
        self.frames: tuple[int, int] = (0, 0)  # those that the job renders
        self.state: State | None = None  # of which are all that are ready
        self.ready: set[int] = set()
        self.number = 0  # which state that is, counted
        self.changed = 0.0  # when it came to be
        self.settled: tuple | None = None  # what needs no job: rendered, or not to be had
        self.error: AddonError | None = None
        self.is_slow = False  # whether the preview has been found too slow


_ahead = _Ahead()


def follow() -> None:
    """Look once: take in what stands, and see that what is wanted is being rendered."""
    if under_way():
        return
    _take_in()
    live, entry = preview.running(), preview.shown_entry()
    if live is None or entry is None or not bpy.context.scene.nvd_inset.draft_ahead:
        stop()
        return
    if not _is_needed(live):
        return
    state = state_of(entry, live.shot, live.mode)
    if state != _ahead.state:
        _change(state)
    job = _ahead.job
    if job is not None:
        _follow_playhead(job, entry)
    if state is None or job is not None:
        return
    if in_stroke():  # paint that is not saved is one state, whatever is painted more
        _ahead.changed = time.monotonic()
        return
    frames = wanted_frames(entry, live.shot)
    if (state, frames) == _ahead.settled or time.monotonic() - _ahead.changed < PAUSE:
        return
    _begin(entry, live, frames)


def stop() -> None:
    """Cancel what is rendered; nothing is ready any more. The files stay in the shot's folder."""
    if _ahead.job is not None:
        _ahead.job.cancel()
    _change(None)
    _ahead.is_slow = False


def switch_off() -> None:
    """The same, and begin with no other."""
    for scene in bpy.data.scenes:
        scene.nvd_inset.draft_ahead = False
    stop()


def ready_frames(entry: NVD_PG_shot, shot: Shot, mode: str) -> Rendered | None:
    """What stands of the shot as it is at this moment; None where nothing does."""
    if not _ahead.ready or not playback.is_on():
        return None
    if preview.shown_entry() != entry or state_of(entry, shot, mode) != _ahead.state:
        return None
    return Rendered(_ahead.number, _ahead.ready, pattern(shot))


def pattern(shot: Shot) -> str:
    """Where they lie."""
    return str(inside(shot.folder, f"render/ahead/%05d.{shot.suffix}", ShotError))


def told() -> str:
    """How far it is, for the panel; "" where it is off."""
    live, entry = preview.running(), preview.shown_entry()
    if live is None or entry is None or not bpy.context.scene.nvd_inset.draft_ahead:
        return ""
    if not _ahead.is_slow:
        return translated("The preview keeps the rate: nothing is rendered ahead")
    if _ahead.state is None:
        return translated("Nothing is rendered ahead of what is shown here")
    first, last = wanted_frames(entry, live.shot)
    count = sum(first <= t <= last for t in _ahead.ready)
    values = {"ready": count, "all": last - first + 1}
    if _ahead.job is None and count == 0 and _ahead.error is None:
        return translated(
            "{ready} of {all} frames rendered ahead: it begins when you pause", **values
        )
    return translated("{ready} of {all} frames rendered ahead", **values)


def problem() -> AddonError | None:
    """Why nothing more is rendered, for the panel."""
    return _ahead.error


def running() -> Job | None:
    """The job that renders, or is just ending."""
    return _ahead.job


def wanted_frames(entry: NVD_PG_shot, shot: Shot) -> tuple[int, int]:
    """First and last of the shot's frames that the scene plays; all where it plays none."""
    scene, last = preview.scene_of(entry), shot.frames - 1
    begin, end = scene.frame_start, scene.frame_end
    if scene.use_preview_range:
        begin, end = scene.frame_preview_start, scene.frame_preview_end
    own = scene == entry.scene and scene != entry.id_data
    try:
        places = range(1, last + 2) if own else layer_values.timeline_frames(entry)
    except AddonError:
        return 0, last
    played = [t for t, place in enumerate(places[: last + 1]) if begin <= place <= end]
    return (played[0], played[-1]) if played else (0, last)


def _take_in() -> None:
    """What the job has said since; it is forgotten when it has ended."""
    job = _ahead.job
    if job is None:
        return
    _ahead.queue.tick()
    new = job.log.images - _ahead.ready
    if new and job.plan["about"]["number"] == _ahead.number:
        _ahead.ready |= new
        redraw()
    if not job.ended or job.leaving:
        return
    if job.plan["about"]["number"] == _ahead.number:
        _ahead.error = job.error
        if job.state == INTERRUPTED:
            _ahead.error = AddonError(job.error.problem, "switch Draft Ahead off and on")
        if job.state != CANCELLED:
            _ahead.settled = _ahead.state, _ahead.frames
    _forget(job)
    redraw()


def _forget(job: Job) -> None:
    _ahead.queue.remove(job)
    _ahead.job = None
    shutil.rmtree(job.folder, ignore_errors=True)


def _is_needed(live: preview.Preview) -> bool:
    """Whether the preview cannot keep the rate by itself; once found so, it stays so."""
    count = playback.count()
    is_late = count is not None and count.passed >= FAR and count.dropped > count.passed // 10
    _ahead.is_slow = _ahead.is_slow or live.by_nodes is False or is_late
    return _ahead.is_slow


def _change(state: State | None) -> None:
    """All that was rendered is old."""
    if state is None and _ahead.state is None and not _ahead.ready:
        return
    _ahead.state, _ahead.number, _ahead.changed = state, _ahead.number + 1, time.monotonic()
    _ahead.ready = set()
    _ahead.settled = _ahead.error = None
    if _ahead.job is not None:
        _ahead.job.cancel()
    redraw()


def _follow_playhead(job: Job, entry: NVD_PG_shot) -> None:
    """Cancel the job where the playhead has gone far from it: the next one begins there."""
    if job.ended or job.stopping or playback.is_on():
        return
    first, last = _ahead.frames
    at, began = _at(entry, _ahead.frames), job.plan["about"]["frame"]
    order = [*range(began, last + 1), *range(first, began)]
    before = [t for t in order[: order.index(at)] if t not in _ahead.ready]
    if at not in _ahead.ready and len(before) > FAR:
        job.cancel()


def _at(entry: NVD_PG_shot, frames: tuple[int, int]) -> int:
    """The frame at the playhead, of those that are rendered."""
    return min(max(preview.frame_of(entry, preview.scene_of(entry)), frames[0]), frames[1])


def _begin(entry: NVD_PG_shot, live: preview.Preview, frames: tuple[int, int]) -> None:
    """Save what is not saved, and start a job on what there is then."""
    try:
        if not _ahead.state.is_saved:
            painting.save_edits(entry)
            _change(state_of(entry, live.shot, live.mode))
            _ahead.changed = 0.0  # the pause is over
            if _ahead.state is None or not _ahead.state.is_saved:
                raise AddonError("the paint could not be saved", "press Save Paint, and see why")
        _ahead.job = _job(entry, live, frames)
        _ahead.frames = frames
        _ahead.queue.add(_ahead.job)
        _ahead.queue.tick()
    except AddonError as error:
        _ahead.error, _ahead.settled = error, (_ahead.state, frames)
        redraw()


def _job(entry: NVD_PG_shot, live: preview.Preview, frames: tuple[int, int]) -> Job:
    shot, python = live.shot, find_engine().python
    at = _at(entry, frames)
    words = ["render", shot.folder, "--out", pattern(shot), "--mode", live.mode, "--start", "0"]
    words += ["--frames", f"{frames[0]}-{frames[1]}", "--ahead", at]
    words += ["--quality", "draft"] if shot.suffix == "png" else []
    command = engine_command(python, *words)
    return Job.create(
        jobs_folder(),
        title=f"{entry.name} ahead",
        kind=KIND,
        python=python,
        steps=[{"title": "rendering", "command": command}],
        about={"folder": str(entry.path), "behind": True, "number": _ahead.number, "frame": at},
    )


def _at_exit() -> None:
    """Blender is closed: nobody looks at it any more."""
    if _ahead.job is not None:
        with suppress(AddonError, OSError):
            _ahead.job.cancel()


_tick, _watch, _leave = timer_factory(INTERVAL, follow)


def register():
    rendered.append(ready_frames)
    atexit.register(_at_exit)
    _watch()


def unregister():
    _leave()
    atexit.unregister(_at_exit)
    _at_exit()
    rendered.remove(ready_frames)
    _ahead.__init__()
