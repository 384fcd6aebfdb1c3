"""What is asked of a rendering without some objects, checked before anything is read."""

from collections.abc import Sequence
from pathlib import Path

from nvd_core.media.sequences import is_pattern
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.sizes import MOST_GROWN
from nvd_core.shot.shot import Shot


def check_removal(
    shot: Shot,
    remove: Sequence[str],
    grow: int | None,
    unseen: Path | str | None,
    layer: str | None,
) -> None:
    """NvdError where the words about objects to be removed do not go together."""
    if not remove and (unseen or grow is not None):
        raise NvdError(
            "--grow and --unseen are about objects that are removed, and none is",
            expected=f"--remove with one of {', '.join(shot.names[:-1])}",
            remedy="name the objects, or leave these options out",
        )
    if remove and layer:
        raise NvdError(
            f"{layer} is rendered alone: nothing is removed from before it",
            remedy="leave out --layer or --remove",
        )
    if grow is not None and not 0 <= grow <= MOST_GROWN:
        raise NvdError(
            "the hole cannot be grown by that",
            expected=f"0 to {MOST_GROWN} pixels",
            found=str(grow),
            remedy="correct --grow",
        )
    if unseen and not is_pattern(unseen):
        raise NvdError(
            f"{unseen} is no pattern for images",
            expected="a name such as unseen/%05d.png",
            remedy="correct --unseen",
        )
