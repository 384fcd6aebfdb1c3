"""A movie of uneven times at a constant rate: the picture that shows is taken at each step."""

from bisect import bisect_right
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

import numpy as np

from nvd_core.media.movies import Movie
from nvd_core.media.picture import Picture
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.sizes import MOST_FRAMES


class Conformed:
    """`movie` at `rate` frames a second, as a source of frames like it.

    Frame n is the picture that shows n / `rate` seconds after the first one: some come twice, and
    some not at all. `nearest` goes by that time to the nearest unit in which the file counts, as
    Blender does; otherwise a picture may begin a unit after its step.
    """

    def __init__(self, movie: Movie, rate: Fraction, *, nearest: bool = False) -> None:
        self.movie, self.rate = movie, rate
        start = movie.time_of(0)
        times = [movie.time_of(n) - start for n in range(movie.frames)]
        length = movie.time_of(movie.frames) - start
        count = max(1, -(-length * rate // 1))
        if count > MOST_FRAMES:
            raise NvdError(
                f"{movie.path} has too many frames at {float(rate):.6g} a second",
                expected=f"{MOST_FRAMES} at the most",
                found=str(int(count)),
                remedy="give a lower --rate",
            )
        steps = [n / rate for n in range(int(count))]
        if nearest and movie.unit:
            steps = [round(step / movie.unit) * movie.unit for step in steps]
        elif not nearest:
            # Times are rounded to the file's unit, so that a picture may begin just after its step
            slack = min(movie.unit, Fraction(1, 4) / rate)
            steps = [step + slack for step in steps]
        self.taken = [bisect_right(times, step) - 1 for step in steps]
        self.off = max(abs(float(n / rate - times[i])) for n, i in enumerate(self.taken))

    @property
    def changes(self) -> bool:
        """Whether it gives other pictures than the movie, but for how many there are."""
        return any(index != n for n, index in enumerate(self.taken[: self.movie.frames]))

    @property
    def frames(self) -> int:
        """How many there are."""
        return len(self.taken)

    @property
    def path(self) -> Path:
        """The movie's file."""
        return self.movie.path

    @property
    def about_colours(self) -> list[str]:
        """What of the movie's colours is not honoured, in words."""
        return self.movie.about_colours

    @property
    def width(self) -> int:
        """Of the picture as shown, in pixels."""
        return self.movie.width

    @property
    def height(self) -> int:
        """Of the picture as shown, in pixels."""
        return self.movie.height

    @property
    def dtype(self) -> np.dtype:
        """Of the frames."""
        return self.movie.dtype

    @property
    def picture(self) -> Picture:
        """What the values mean."""
        return self.movie.picture

    @property
    def cautions(self) -> list[str]:
        """What is not carried, and what the rate has done, in words."""
        left_out = self.movie.frames - len(set(self.taken))
        again = self.frames - len(set(self.taken))
        text = (
            f"{self.path.name} has a variable frame rate: of its {self.movie.frames} pictures "
            f"{self.frames} frames are made at a constant {float(self.rate):.6g} a second, with "
            f"{again} pictures held and {left_out} left out, up to {self.off:.3g} seconds off"
        )
        return [*self.movie.cautions, text]

    def time_of(self, index: int) -> Fraction:
        """Second of the file at which frame `index` shows."""
        return self.movie.time_of(0) + index / self.rate

    def read(self, start: int, stop: int) -> Generator[np.ndarray, None, None]:
        """Frames `start` to `stop` - 1, as `Movie.read` gives them."""
        wanted = self.taken[start:stop]
        if not wanted:
            return
        held, picture = -1, np.empty(0)
        pictures = self.movie.read(wanted[0], wanted[-1] + 1)
        at = wanted[0] - 1
        for index in wanted:
            while at < index:
                picture, at = next(pictures), at + 1
            yield picture.copy() if index == held else picture
            held = index
