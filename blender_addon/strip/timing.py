"""Which picture of its source a strip shows at each frame of the timeline, at any speed.

    pictures = shown_pictures(strip)        # {frame of the timeline: picture, from 0}

A strip that plays its pictures one a frame is counted out; others are rendered with numbered
pictures in the place of their own (strip_probe.py), no more of it than is asked for. Constant
speeds, retiming keys, freeze frames, transitions, reversed frames, strobe, and a movie of another
rate than the scene's are all followed that way.
"""

import math

from ..blender import compat
from ..errors import AddonError
from . import strip_probe

KINDS = ("MOVIE", "IMAGE", "SCENE")
_known: dict[tuple, dict[int, int]] = {}  # frames without a gap
LIMIT = 32  # strips kept in mind


def check_kind(strip) -> None:
    """AddonError for no strip, and for one that shows no source of its own."""
    if strip is None:
        raise AddonError(
            "no movie, image or scene strip is selected", "select the strip to decompose"
        )
    if strip.type not in KINDS:
        raise AddonError(
            f"{strip.name} is no movie, image or scene strip", "choose a strip that is"
        )
    if strip.type == "SCENE" and strip.scene is None:
        raise AddonError(f"the scene of the strip {strip.name} was deleted", "choose another strip")


def shown_pictures(strip, margin: int = 0) -> dict[int, int]:
    """The picture of the strip's source, from 0 behind hard cuts, at each frame of the timeline
    where the strip shows, and at up to `margin` more to either side, where it is trimmed off.

    May render: not to be called where Blender draws or changes frames. AddonError for a strip of
    another kind, and for a scene strip that does not play at normal speed.
    """
    check_kind(strip)
    frames = _frames(strip, margin)
    if is_plain(strip):
        return _count_out(strip, frames)
    key = signature(strip)
    if key not in _known and len(_known) >= LIMIT:
        _known.clear()
    known = _known.setdefault(key, {})
    first, stop = (min(known), max(known) + 1) if known else (frames.start, frames.start)
    for part in (range(frames.start, first), range(stop, frames.stop)):
        if part:
            known.update(_ask(strip, part))
    return {frame: known[frame] for frame in frames}


def known_pictures(strip) -> dict[int, int]:
    """The same without rendering: AddonError where the strip's speed has changed since."""
    check_kind(strip)
    if not is_plain(strip) and not _known.get(signature(strip)):
        raise AddonError(
            f"the speed of {strip.name} has changed", "switch the live preview off and on again"
        )
    return shown_pictures(strip)


def is_plain(strip) -> bool:
    """Whether the strip plays its pictures in their order, one a frame of the timeline."""
    if len(compat.retiming_frames(strip)) or strip.use_reverse_frames or strip.strobe > 1:
        return False
    render = strip.id_data.render
    # Both are kept in single precision, and 24000/1001 is not the same number in the two
    rate = render.fps / render.fps_base
    return strip.type != "MOVIE" or math.isclose(strip.fps, rate, rel_tol=1e-6)


def _count_out(strip, frames: range) -> dict[int, int]:
    _before, _after, pictures = compat.strip_content(strip)
    start = round(compat.strip_start(strip))
    return {frame: min(max(frame - start, 0), pictures - 1) for frame in frames}


def _ask(strip, frames: range) -> dict[int, int]:
    if strip.type == "SCENE":
        raise AddonError(
            f"the scene strip {strip.name} does not play at normal speed, and Blender does not "
            "tell what it shows when",
            "set it to normal speed, or render the scene to a movie and use that",
        )
    pictures = strip_probe.ask(strip, frames)
    skipped = compat.strip_skipped(strip)
    return {frame: picture - skipped for frame, picture in pictures.items()}


def _frames(strip, margin: int) -> range:
    """The frames of the timeline where the strip shows, and up to `margin` of those trimmed off
    to either side.
    """
    left, length = compat.strip_span(strip)
    before, after, _pictures = compat.strip_content(strip)
    before, after = (min(max(round(cut), 0), margin) for cut in (before, after))
    return range(left - before, left + length + after)


def signature(strip) -> tuple:
    """What decides on a strip's timing, as far as Blender tells."""
    render = strip.id_data.render
    source = strip.scene.name if strip.type == "SCENE" else getattr(strip, "filepath", "")
    return (
        strip.type,
        source or (strip.directory, len(strip.elements)),
        compat.strip_span(strip),
        compat.strip_content(strip),
        compat.strip_start(strip),
        compat.strip_skipped(strip),
        tuple(compat.retiming_frames(strip)),
        (strip.use_reverse_frames, strip.strobe),
        (render.fps, render.fps_base, getattr(strip, "fps", 0)),
    )
