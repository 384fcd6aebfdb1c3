"""Where each frame of a shot lies on the timeline of the strip that it was made from.

Keys of visibility and relight stand there (shot/layer_values.py).
"""

from ..shot import layer_values
from ..shot.shots import NVD_PG_shot
from .sources import read_strip
from .strips import strip_named
from .timing import known_pictures, signature

_known: dict[tuple, tuple[int, ...]] = {}
LIMIT = 64  # strips kept in mind


def frames_on_timeline(entry: NVD_PG_shot) -> tuple[int, ...] | None:
    """The timeline's first frame that shows each frame of the shot; None where it has no strip.

    Where the strip is trimmed off they go on one by one, as its pictures do. AddonError where only
    rendering could tell.
    """
    scene = entry.id_data
    strip = None if scene == entry.scene else strip_named(scene, entry.strip)
    if strip is None:
        return None
    key = signature(strip), entry.first_frame, entry.frames
    if key not in _known:
        if len(_known) >= LIMIT:
            _known.clear()
        _known[key] = _frames(strip, entry.first_frame, entry.frames)
    return _known[key]


def _frames(strip, first: int, count: int) -> tuple[int, ...]:
    source = read_strip(strip, known_pictures)
    low, high = min(source.shows.values()), max(source.shows.values())

    def frame(picture: int) -> int:
        beyond = min(picture - low, 0) + max(picture - high, 0)
        return source.timeline_frame(picture - beyond) + beyond

    return tuple(frame(first + t) for t in range(count))


def register():
    layer_values.strip_frames.append(frames_on_timeline)


def unregister():
    layer_values.strip_frames.remove(frames_on_timeline)
