"""What a source says of its time: timecode, reel, rate, sound and the times of uneven frames."""

from fractions import Fraction

from nvd_core.media import timecode
from nvd_core.media.conformed import Conformed
from nvd_core.media.images import image_rate, image_words
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import ImageSequence
from nvd_core.media.timecode import Timecode
from nvd_core.media.timeline import AUDIO, Timeline

_SMPTE, _REEL = "smpte:TimeCode", "reelName"
_LONGEST = 200
Times = tuple[tuple[int, int], tuple[int, ...]]
"""unit in seconds, as a fraction, and times in it"""


def timeline_of(
    opened: Movie | Conformed | ImageSequence, first: int, last: int, rate: Fraction, asked: bool
) -> tuple[Timeline, list[str]]:
    """The timeline of frames `first` to `last` at a `rate`, which was `asked` for or not.

    And what of it is not carried, in words.
    """
    if isinstance(opened, Conformed):
        seconds = opened.time_of(first) - opened.time_of(0)
        passed = round(seconds * opened.movie.rate)
        return _of_movie(opened.movie, passed, rate, None, restated=rate != opened.rate)
    if isinstance(opened, Movie):
        passed, even = first, opened.even
        if not even:
            passed = round((opened.time_of(first) - opened.time_of(0)) * opened.rate)
        timed = None if even and rate != opened.rate else opened.times(first, last)
        return _of_movie(opened, passed, rate, timed, restated=even and rate != opened.rate)
    return _of_images(opened, first, last, rate, asked)


def _of_movie(
    movie: Movie, passed: int, rate: Fraction, timed: Times | None, *, restated: bool
) -> tuple[Timeline, list[str]]:
    """That of a movie's frames at a `rate`, the first of which is `passed` of its timecode's.

    `restated`: the rate makes it run faster or slower.
    """
    name, texts = movie.path.name, []
    words = movie.metadata.get("timecode")
    code = timecode.from_text(words, movie.rate)
    if words and code is None:
        texts.append(
            f"{name} has the timecode {words[:20]}, which is none at {float(movie.rate):.6g} "
            "frames a second: it is not carried"
        )
    if code and round(rate) != round(movie.rate):
        texts.append(f"{name} has a timecode of another rate: it is not carried")
        code = None
    if code and code.drop and rate != movie.rate:
        texts.append(f"{name} has a timecode that drops frames, of another rate: it is not carried")
        code = None
    if code:
        code = code.counted_on(passed, rate)
    if restated and movie.sounds:
        texts.append(
            f"{name} has sound, which is not carried: at {float(rate):.6g} frames a second in "
            f"place of {float(movie.rate):.6g} the frames would run away from it"
        )
    return Timeline(
        timecode=str(code) if code else None,
        reel=(movie.metadata.get("reel_name") or "")[:_LONGEST] or None,
        named_rate=True,
        audio=AUDIO if movie.sounds and not restated else None,
        unit=timed[0] if timed else None,
        at=timed[1] if timed else None,
    ), texts


def _of_images(
    images: ImageSequence, first: int, last: int, rate: Fraction, asked: bool
) -> tuple[Timeline, list[str]]:
    begin, end = images.files[first], images.files[last]
    words = image_words(begin, _SMPTE, _REEL)
    code, texts = _code_of(words, rate), []
    if words.get(_SMPTE) is not None and code is None:
        texts.append(
            f"{begin.name} has a timecode that is none at {float(rate):.6g} frames a second: it "
            "is not carried (--rate says which it is)"
        )
    if code:
        expected = code.counted_on(offsets(images.numbers, first, last)[-1], rate)
        found = _code_of(image_words(end, _SMPTE), rate)
        if found != expected:
            texts.append(
                f"{end.name} has the timecode {found or 'none'}, not {expected}, as it would be "
                f"counted on from {begin.name}; rendered files have the latter"
            )
    reel = words.get(_REEL)
    return Timeline(
        timecode=str(code) if code else None,
        reel=(reel.strip()[:_LONGEST] or None) if isinstance(reel, str) else None,
        named_rate=asked or image_rate(begin) is not None,
    ), texts


def offsets(numbers: list[int] | None, first: int, last: int) -> list[int]:
    """By how many frames each is later than the first, by the source's own numbers."""
    if not numbers:
        return list(range(last - first + 1))
    return [number - numbers[first] for number in numbers[first : last + 1]]


def _code_of(words: dict[str, object], rate: Fraction) -> Timecode | None:
    value = words.get(_SMPTE)
    if isinstance(value, tuple) and value:
        return timecode.from_bits(int(value[0]), rate)
    return None
