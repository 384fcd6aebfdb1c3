"""Which picture of its source a strip shows at each frame of the timeline, at any speed.

    pictures = shown_pictures(strip)        # {frame of the timeline: picture, from 0}

A strip that plays its pictures one a frame is counted out; others are rendered with numbered
pictures in the place of their own (strip_probe.py). Constant
speeds, retiming keys, freeze frames, transitions, reversed frames, strobe, and a movie of another
rate than the scene's are all followed that way.
"""

from . import compat, strip_probe
from .errors import AddonError

_known: dict[tuple, dict[int, int]] = {}
LIMIT = 32  # strips kept in mind


def shown_pictures(strip) -> dict[int, int]:
    """The picture of the strip's source, from 0 behind hard cuts, at each frame of the timeline
    that the strip covers, also where it is trimmed off.

    May render: not to be called where Blender draws or changes frames. AddonError for a scene
    strip that does not play at normal speed.
    """
    key = _signature(strip)
    if key not in _known:
        if len(_known) >= LIMIT:
            _known.clear()
        _known[key] = _count_out(strip) if is_plain(strip) else _ask(strip)
    return _known[key]


def known_pictures(strip) -> dict[int, int]:
    """The same without rendering: AddonError where the strip's speed has changed since."""
    if not is_plain(strip) and _signature(strip) not in _known:
        raise AddonError(
            f"the speed of {strip.name} has changed", "switch the live preview off and on again"
        )
    return shown_pictures(strip)


def is_plain(strip) -> bool:
    """Whether the strip plays its pictures in their order, one a frame of the timeline."""
    if len(compat.retiming_frames(strip)) or strip.use_reverse_frames or strip.strobe > 1:
        return False
    render = strip.id_data.render
    return strip.type != "MOVIE" or strip.fps == render.fps / render.fps_base


def _count_out(strip) -> dict[int, int]:
    _before, _after, pictures = compat.strip_content(strip)
    start = round(compat.strip_start(strip))
    return {frame: min(max(frame - start, 0), pictures - 1) for frame in _span(strip)}


def _ask(strip) -> dict[int, int]:
    if strip.type == "SCENE":
        raise AddonError(
            f"the scene strip {strip.name} does not play at normal speed, and Blender does not "
            "tell what it shows when",
            "set it to normal speed, or render the scene to a movie and use that",
        )
    pictures = strip_probe.ask(strip, _span(strip))
    skipped = compat.strip_skipped(strip)
    return {frame: picture - skipped for frame, picture in pictures.items()}


def _span(strip) -> range:
    """The frames of the timeline that the strip covers, trimmed off or held ones among them."""
    left, length = compat.strip_span(strip)
    before, after, _pictures = compat.strip_content(strip)
    return range(round(min(left, left - before)), round(max(left + length, left + length + after)))


def _signature(strip) -> tuple:
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
