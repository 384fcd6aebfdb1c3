"""Playing while the live preview is on: the scene's rate is held, and what is left out is counted.

Blender's own choice is to show every frame, however long that takes. While the preview plays,
frames are left out instead (`keep_rate`), and the scene's setting comes back afterwards. preview.py
tells here where the playhead went and what was drawn.
"""

import time
from dataclasses import dataclass

import bpy
from bpy.app.handlers import persistent

from ..blender.redraw import redraw
from ..blender.words import translated


@dataclass
class Count:
    """Of one playing: frames of the timeline that the playhead passed, and those that were shown.

    first, last: of the timeline, which begins again behind the last. times: when it began and
    ended, or was looked at, in seconds.
    """

    first: int
    last: int
    rate: float
    began: float
    ended: float = 0.0
    passed: int = 0
    shown: int = 0
    ahead: int = 0
    """of those that were shown: that were rendered ahead"""
    stride: int = 1
    """timeline frames from the last but one to the last that was gone to"""
    _at: int | None = None
    _drawn: bool = False

    def move(self, frame: int, inside: bool = True) -> None:
        """The playhead is at `frame` now, `inside` the shot or not; what lay between was passed."""
        if frame == self._at:
            return
        steps = 1
        if self._at is not None:
            steps = frame - self._at
            if steps < 0:  # it began again
                steps = max(self.last - self._at, 0) + max(frame - self.first, 0) + 1
        self.stride, self._at, self._drawn = steps, frame, not inside
        self.passed += steps if inside else 0

    def draw(self, now: float, was_rendered: bool = False) -> None:
        """The frame that the playhead is at was drawn, in one editor or several; it `was_rendered`
        ahead, or made by the preview.
        """
        self.ended = now
        if self._at is not None and not self._drawn:
            self.shown, self._drawn = self.shown + 1, True
            self.ahead += was_rendered

    @property
    def dropped(self) -> int:
        return max(self.passed - self.shown, 0)

    @property
    def shown_a_second(self) -> float:
        seconds = self.ended - self.began
        return self.shown / seconds if seconds > 0 else 0.0


class _Playing:
    def __init__(self):
        self.count: Count | None = None
        self.is_on = False
        self.scene = ""
        self.sync = ""  # what the scene's setting was, where it was changed


_playing = _Playing()


@persistent
def begin(scene, _depsgraph=None) -> None:
    """Blender begins to play `scene`."""
    end()
    first, last = scene.frame_start, scene.frame_end
    if scene.use_preview_range:
        first, last = scene.frame_preview_start, scene.frame_preview_end
    rate = scene.render.fps / scene.render.fps_base
    _playing.count, _playing.is_on = Count(first, last, rate, time.perf_counter()), True
    if scene.nvd_inset.keep_rate and scene.sync_mode == "NONE":
        _playing.scene, _playing.sync = scene.name, scene.sync_mode
        scene.sync_mode = "FRAME_DROP"


@persistent
def end(_scene=None, _depsgraph=None) -> None:
    """Blender has stopped; the scene is as it was, and what was counted stays to be read."""
    _set_sync("FRAME_DROP", _playing.sync)
    _playing.scene = _playing.sync = ""
    if _playing.is_on:
        _playing.is_on = False
        redraw()


@persistent
def before_save(_path=None) -> None:
    """A .blend that is saved while it plays has the scene's own setting."""
    _set_sync("FRAME_DROP", _playing.sync)


@persistent
def after_save(_path=None) -> None:
    """It plays on."""
    _set_sync(_playing.sync, "FRAME_DROP")


def _set_sync(before: str, after: str) -> None:
    scene = bpy.data.scenes.get(_playing.scene)
    if scene is not None and _playing.sync and scene.sync_mode == before:
        scene.sync_mode = after


def forget() -> None:
    """The preview is switched off: nothing is said of what was played."""
    end()
    _playing.count = None


def move(frame: int, inside: bool) -> int:
    """The playhead is at `frame` of the timeline; how far to the next one that will be wanted."""
    if not _playing.is_on:
        return 1
    _playing.count.move(frame, inside)
    return max(_playing.count.stride, 1)


def draw(was_rendered: bool = False) -> None:
    """The preview has drawn the frame, which `was_rendered` ahead or was made by it."""
    if _playing.is_on:
        _playing.count.draw(time.perf_counter(), was_rendered)


def is_on() -> bool:
    """Whether Blender plays with the preview on."""
    return _playing.is_on


def count() -> Count | None:
    """Of what plays, or was played last."""
    return _playing.count


def told() -> str:
    """What was counted, in the interface's language; "" where nothing was played."""
    found = _playing.count
    if found is None or not found.passed:
        return ""
    values = {"rate": f"{found.rate:g}", "dropped": found.dropped}
    values["shown"] = f"{found.shown_a_second:.1f}"
    if found.ahead:
        return translated(
            "{shown} of {rate} frames a second, {dropped} dropped, {ahead} rendered ahead",
            **values,
            ahead=found.ahead,
        )
    return translated("{shown} of {rate} frames a second, {dropped} dropped", **values)
