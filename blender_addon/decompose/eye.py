"""Frames that need someone's eye: where a carried mask was lost and looked for.

They are kept as the engine numbers them, the files' own numbers or a movie's pictures from 0. On
one that is wrong a further mask is drawn, a key frame: what was carried is then carried from there
too (strip_job.py).
"""

import bpy

from ..strip.sources import Source

MOST = 4000
"""frames that are kept of an object"""


def as_text(frames: list[int]) -> str:
    """Frames as a property keeps them: 3,4,9."""
    return ",".join(map(str, frames[:MOST]))


def from_text(text: str) -> list[int]:
    """The same frames; what is none is left out."""
    return [int(word) for word in text.split(",") if word.strip().lstrip("-").isdigit()]


def on_timeline(frames: list[int], source: Source) -> list[int]:
    """The timeline's frames that show those pictures of the strip's source, rising."""
    numbers = {int(source.number_of(n)): n for n in range(source.first, source.last + 1)}
    return sorted({source.timeline_frame(numbers[f]) for f in frames if f in numbers})


def runs(frames: list[int]) -> list[tuple[int, int]]:
    """First and last of each run of neighbours."""
    found: list[tuple[int, int]] = []
    for frame in frames:
        if found and frame <= found[-1][1] + 1:
            found[-1] = found[-1][0], frame
        else:
            found.append((frame, frame))
    return found


def add_key(thing, frame: int) -> bpy.types.Mask:
    """A mask of `thing` for the timeline's `frame`: the one that is there, or a new one."""
    for key in thing.keys_drawn:
        if key.frame == frame and key.mask is not None:
            return key.mask
    key = thing.keys_drawn.add()
    key.frame = frame
    key.mask = bpy.data.masks.new(f"{thing.name} {frame}")
    key.mask.layers.new(name=thing.name)
    return key.mask


def remove_key(thing, frame: int) -> None:
    """Take the key frame off the object; its mask stays in the file until nobody uses it."""
    for n in reversed(range(len(thing.keys_drawn))):
        if thing.keys_drawn[n].frame == frame:
            thing.keys_drawn.remove(n)
    for n in reversed(range(len(thing.clicks))):
        if thing.clicks[n].frame == frame:
            thing.clicks.remove(n)
