"""OpenTimelineIO (.otio): the plate on one track, and what `nvd render` made of it above.

Written as the JSON that the format documents; the library is not needed for it.
"""

from itertools import pairwise

from nvd_core.editing.export_graph import HandOver


def otio_timeline(over: HandOver) -> dict:
    """The timeline as JSON. Media are sequences of images, relative to the file."""
    tracks = [_track(over, "plate", over.plate), _track(over, "nvd render", over.result)]
    return {
        "OTIO_SCHEMA": "Timeline.1",
        "name": over.title,
        "metadata": {},
        "global_start_time": _time(over, over.first),
        "tracks": {
            "OTIO_SCHEMA": "Stack.1",
            "name": "tracks",
            "metadata": {},
            "source_range": None,
            "effects": [],
            "markers": [],
            "children": tracks,
        },
    }


def _track(over: HandOver, name: str, pattern: str) -> dict:
    clip = {
        "OTIO_SCHEMA": "Clip.2",
        "name": f"{over.title} {name}",
        "metadata": {},
        "source_range": _range(over),
        "effects": [],
        "markers": [],
        "media_references": {"DEFAULT_MEDIA": _reference(over, pattern)},
        "active_media_reference_key": "DEFAULT_MEDIA",
    }
    return {
        "OTIO_SCHEMA": "Track.1",
        "name": name,
        "kind": "Video",
        "metadata": {},
        "source_range": None,
        "effects": [],
        "markers": [],
        "children": [clip],
    }


def _reference(over: HandOver, pattern: str) -> dict:
    folder, _, name = pattern.rpartition("/")
    prefix, _, suffix = name.partition("%04d")
    return {
        "OTIO_SCHEMA": "ImageSequenceReference.1",
        "name": "",
        "metadata": {},
        "available_range": _range(over),
        "available_image_bounds": None,
        "target_url_base": f"{folder}/",
        "name_prefix": prefix,
        "name_suffix": suffix,
        "start_frame": over.first,
        "frame_step": _step(over),
        "rate": _rate(over),
        "frame_zero_padding": 4,
        "missing_frame_policy": "hold",
    }


def _step(over: HandOver) -> int:
    """The step between the images' numbers, 1 where it varies."""
    steps = {b - a for a, b in pairwise(over.numbers)}
    return steps.pop() if len(steps) == 1 else 1


def _range(over: HandOver) -> dict:
    start, duration = _time(over, over.first), _time(over, over.last - over.first + 1)
    return {"OTIO_SCHEMA": "TimeRange.1", "start_time": start, "duration": duration}


def _time(over: HandOver, frames: int) -> dict:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": _rate(over), "value": float(frames)}


def _rate(over: HandOver) -> float:
    return over.clip.rate[0] / over.clip.rate[1]
