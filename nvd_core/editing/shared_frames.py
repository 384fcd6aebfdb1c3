"""The frames that two decompositions of one clip both have."""

from nvd_core.runtime.errors import NvdError
from nvd_core.shot.shot import Shot


def shared_frames(old: Shot, new: Shot) -> list[tuple[int, int]]:
    """Indices in `old` and in `new` of those frames, rising; NvdError where there are none."""
    was, is_now = old.manifest.clip, new.manifest.clip
    apart = is_now.first_frame - was.first_frame
    shared = [(t + apart, t) for t in range(is_now.frames) if 0 <= t + apart < was.frames]
    if not shared:
        raise NvdError(
            f"{old.folder} and {new.folder} have no frames in common",
            expected="two decompositions of one clip",
            found=f"frames from {was.first_frame} and {was.frames} of them, "
            f"and from {is_now.first_frame} and {is_now.frames}",
            remedy="name two folders whose frames overlap",
        )
    if was.width * is_now.height != was.height * is_now.width:
        raise NvdError(
            f"{old.folder} and {new.folder} are not of one clip",
            expected="pictures of the same shape",
            found=f"{was.width} x {was.height} and {is_now.width} x {is_now.height}",
            remedy="name two folders that were made of the same source",
        )
    return shared
