"""What rendered files say of time: timecode, reel, rate, uneven times and sound."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from nvd_core.editing.output_numbers import source_numbers
from nvd_core.media.audio import LEAD, Sound
from nvd_core.media.sequences import is_pattern
from nvd_core.media.timeline import UNTIMED, Timeline, Timing
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.inside import inside
from nvd_core.shot.shot import Shot

_EVEN_ONLY = (".mxf",)
_WITH_REEL = (".mov", ".mkv")
_NAMES = {"aac": "AAC", "libopus": "Opus", "pcm_s24le": "24-bit PCM", "pcm_f32le": "float PCM"}


def timing_of(
    shot: Shot, out: Path | str, numbers: range, named: Sequence[int], audio: bool
) -> tuple[Timing, list[str]]:
    """What the output `out` of the frames `numbers` is told, and what of it is lost, in words.

    `named` are the numbers of all the shot's images; `audio` says whether sound is wanted.
    """
    line, suffix = shot.manifest.clip.timeline, Path(out).suffix.lower()
    if line is None:
        return UNTIMED, []
    if is_pattern(out):
        return _of_images(shot, line, suffix, numbers, named)
    rate, texts = Fraction(*shot.manifest.clip.rate), []
    unit, at = (Fraction(*line.unit), line.at) if line.unit and line.at else (None, ())
    at = [time - at[numbers[0]] for time in at[numbers[0] : numbers[-1] + 2]]
    if at and suffix in _EVEN_ONLY:
        span = [index / rate - time * unit for index, time in enumerate(at[:-1])]
        texts.append(
            f"{suffix} has a constant rate: its frames show up to {float(max(map(abs, span))):.3g} "
            "seconds off the source's uneven times, which .mov, .mp4 and .mkv keep"
        )
        unit, at = None, []
    if line.reel and suffix not in _WITH_REEL:
        texts.append(f"{suffix} does not hold the reel name {line.reel}; .mov and .mkv do")
    start, stop = (line.seconds(n, rate) for n in (numbers[0], numbers[-1] + 1))
    sound, more = _sound(shot, line, suffix, start, stop) if audio else (None, [])
    code = line.timecode_of(_offset(shot, numbers[0]), rate)
    return Timing(
        timecode=str(code or ""), reel=line.reel or "", unit=unit, at=at, sound=sound
    ), texts + more


def _of_images(
    shot: Shot, line: Timeline, suffix: str, numbers: range, named: Sequence[int]
) -> tuple[Timing, list[str]]:
    clip, texts = shot.manifest.clip, []
    known = suffix in (".exr", ".dpx")
    lost = [
        word
        for word, there in (
            ("timecode", line.timecode and not known),
            ("reel name", line.reel and suffix != ".exr"),
        )
        if there
    ]
    if lost:
        texts.append(f"{suffix} holds no {' and no '.join(lost)}, which the source has; .exr does")
    codes = {}
    for t in numbers if known and line.timecode else ():
        code = line.timecode_of(_offset(shot, t), Fraction(*clip.rate))
        if code:
            codes[named[t]] = code.bits(Fraction(*clip.rate))
    rate = tuple(clip.rate) if line.named_rate else None
    return Timing(codes=codes, rate=rate, reel=line.reel or ""), texts


def _offset(shot: Shot, index: int) -> int:
    """By how many numbers of the timecode frame `index` is later than frame 0."""
    clip, own = shot.manifest.clip, source_numbers(shot)
    if clip.timeline and clip.timeline.at is not None:
        return round(clip.timeline.seconds(index, Fraction(*clip.rate)) * Fraction(*clip.rate))
    return own[index] - own[0] if own else index


def _sound(
    shot: Shot, line: Timeline, suffix: str, start: Fraction, stop: Fraction
) -> tuple[Sound | None, list[str]]:
    if not line.audio:
        return None, []
    try:
        sound = Sound(inside(shot.folder, line.audio), LEAD + start, LEAD + stop, suffix)
    except NvdError as error:
        return None, [f"{line.audio} cannot be read, the movie has no sound: {error.found}"]
    texts = [
        f"{suffix} takes no {old} sound here: it is encoded anew as {_NAMES[new]}"
        for old, new in sound.encoded.items()
    ]
    return (sound if sound.tracks else None), texts
