"""What was asked of `nvd decompose`, kept in `job.json` so that `nvd resume` can go on with it."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json

SCHEMA = "nvd.job"
VERSION = 1


@dataclass
class Job:
    """One decomposition: its inputs, and the stages that are done."""

    source: str
    """absolute path of the movie, folder or pattern"""
    masks: list[list[str]] = field(default_factory=list)
    """[name, absolute path or maskrcnn:CLASS] an object, front to back; none: found by motion"""
    frames: list[int] | None = None
    """first and last source frame, from 0; None: all"""
    height: int | None = None
    """working height in pixels; None: the source's"""
    device: str = "auto"
    """auto, cpu or cuda"""
    seed: int = 0
    """decides every random number"""
    done: list[str] = field(default_factory=list)
    """stages that are finished"""
    clip: dict | None = None
    """what `media.clip.ClipInfo` knows, so that imported frames are enough; older files lack it"""
    mask_frames: list[int | None] | None = None
    """the working frame of each mask that is one image, None for others; older files lack it"""

    @classmethod
    def load(cls, folder: Path) -> "Job":
        """Read `folder`/job.json; NvdError where it is not one of ours."""
        path = Path(folder) / "job.json"
        try:
            values = json.loads(path.read_text("utf-8"))
            if (values.pop("schema"), values.pop("version")) != (SCHEMA, VERSION):
                raise ValueError("another schema or version")
            return cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise NvdError(
                f"{folder} holds no decomposition that could be resumed",
                expected=f"a job.json of schema {SCHEMA} version {VERSION}",
                found=str(error),
                remedy="give the folder that `nvd decompose --out` named",
            ) from error

    def save(self, folder: Path) -> None:
        """Write `folder`/job.json."""
        write_json(
            Path(folder) / "job.json",
            {"schema": SCHEMA, "version": VERSION} | dataclasses.asdict(self),
            durable=True,
        )
