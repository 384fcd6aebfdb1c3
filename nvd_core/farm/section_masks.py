"""Which masks serve a clip that is cut into sections: each section reads its own part of them.

A section is decomposed with its own range of frames, so masks have to say which frame each is of:
by their number, or by being as many as the clip's frames.
"""

from nvd_core.job import INVERTED, wanted_class
from nvd_core.media.clip import open_source
from nvd_core.media.movies import Movie
from nvd_core.media.sequences import ImageSequence
from nvd_core.runtime.errors import NvdError


def check_serves(mask: str, clip: Movie | ImageSequence, frames: int) -> None:
    """NvdError where a `mask` is of one frame, or of the `frames` that are decomposed, in order.

    The mask of one frame would be taken for that of every section's first. One that cannot be read
    is left to its section, which says why.
    """
    if wanted_class(mask):
        return
    try:
        source = open_source(mask.removeprefix(INVERTED))
    except NvdError:
        return
    if source.frames == 1:
        raise _refused(mask, "the mask of one frame")
    own, numbers = getattr(clip, "numbers", None), getattr(source, "numbers", None)
    by_number = bool(own and numbers and set(own) & set(numbers))
    if source.frames == frames != clip.frames and not by_number:
        raise _refused(mask, f"{frames} masks, of a part of the clip's {clip.frames} frames")


def _refused(mask: str, found: str) -> NvdError:
    return NvdError(
        f"the mask {mask} does not serve a clip in sections",
        expected="masks of all frames of the clip, or numbered as these are, some for each section",
        found=found,
        remedy="give such masks (`nvd objects` makes some of all frames), or leave out sections",
    )
