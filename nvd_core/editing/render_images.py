"""Numbered images of a rendering: those that would come out the same are left as they are."""

import itertools
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from nvd_core.editing.changed_frames import RenderedBefore
from nvd_core.editing.cross_fade import CrossFade
from nvd_core.editing.rendering import Rendering
from nvd_core.media.frame_writer import FrameWriter
from nvd_core.media.sequences import frame_path, is_pattern
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import cannot_write
from nvd_core.runtime.folder_lock import writing, writing_if_inside
from nvd_core.runtime.frame_threads import in_order
from nvd_core.runtime.progress import Progress
from nvd_core.shot.shot import Shot


def check_ahead(out: Path | str, ahead: int | None, layer: str | None) -> None:
    """NvdError where frames are to be rendered ahead of a playhead, and `out` is no images."""
    if ahead is None:
        return
    if layer or not is_pattern(out):
        raise NvdError(
            "--ahead is of numbered images of the whole picture",
            found=f"--layer {layer}" if layer else str(out),
            remedy="give an output such as ahead/%05d.png, and no --layer",
        )


def ahead_first(numbers: range, ahead: int | None) -> list[int]:
    """The frames in the order in which they are wanted: `ahead` and what follows, then the rest.

    NvdError where `ahead` is none of them.
    """
    if ahead is None:
        return list(numbers)
    if ahead not in numbers:
        raise NvdError(
            f"frame {ahead} is not among those to render",
            expected=f"--ahead from {numbers[0]} to {numbers[-1]}",
            found=f"--ahead {ahead}",
            remedy="choose one of them, or leave out --frames",
        )
    return [*range(ahead, numbers.stop), *range(numbers.start, ahead)]


@contextmanager
def writing_images(
    out: Path | str, shot: Shot, ahead: int | None, progress: Progress
) -> Generator[None, None, None]:
    """Hold the lock of the shot's folder where `out` lies in it.

    What is rendered ahead of a playhead is nobody's work, and others may write into the folder
    meanwhile: it has the lock of its own images alone.
    """
    if ahead is None:
        with writing_if_inside(out, shot.folder, "nvd render", progress):
            yield
        return
    place = Path(out).parent
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(place, error) from error
    with writing(place, "nvd render", progress):
        yield


def write_images(
    rendering: Rendering | CrossFade,
    numbers: Sequence[int],
    named: Sequence[int],
    pattern: Path,
    writer: FrameWriter,
    again: bool,
    progress: Progress,
) -> int:
    """Write the numbered images of the frames `numbers`, in that order, that are not there yet;
    returns how many were. `Progress.images` is told of each as soon as it stands.
    """
    known = RenderedBefore(pattern)
    keys = {t: rendering.key(t, pattern) for t in numbers}
    wanted = [t for t in numbers if again or not known.has(named[t], keys[t])]
    copies = [t for t in wanted if rendering.is_copy(t, pattern)]
    rendered = [t for t in wanted if t not in set(copies)]

    def copy(t: int) -> int:
        rendering.copy(t, frame_path(pattern, named[t]))
        return t

    def write(item: tuple[int, object]) -> int:
        t, frame = item
        writer.write(named[t], *rendering.whole(t, frame, pattern))
        return t

    done = len(numbers) - len(wanted)
    progress.stage("render", len(numbers))
    progress.images(sorted(set(numbers) - set(wanted)))
    items = zip(rendered, rendering.frames(rendered), strict=True)
    try:
        with closing(in_order(copy, copies)) as one, closing(in_order(write, items)) as other:
            for t in itertools.chain(one, other):
                known.add(named[t], keys[t])
                done += 1
                progress.images([t])
                progress.update(done)
    except BaseException:
        with suppress(NvdError):  # what went wrong first is what has to be told
            known.save()
        raise
    known.save()
    return len(numbers) - len(wanted)
