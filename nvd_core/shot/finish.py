"""How what is painted meets the plate: edges of the layers and motion blur, edits/finish.json.

    {"schema": "nvd.finish", "version": 1,
     "layers": {"bear": {"choke": 1.5, "feather": 2, "spill": 0.5,
                         "holdout": "edits/holdout/bear/%05d.png"}},
     "motion_blur": {"shutter": 0.5, "samples": 16}}

Where there is no such file nothing changes, bit for bit. Lengths are pixels of the plate. What it
means for a frame is in `editing/finishing.py`; docs/reference/decomposition-folder.md describes
every key.
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from nvd_core.media.sequences import frame_path
from nvd_core.runtime.declared import OPTIONAL, Name, text_like, within
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.runtime.sizes import MOST_LAYERS
from nvd_core.shot.edit_document import EditDocument, write_edit
from nvd_core.shot.finish_words import (
    DEFAULT_SAMPLES,
    EDGES,
    MOST_CHOKE,
    MOST_FEATHER,
    MOST_SAMPLES,
    MOST_SHUTTER,
)
from nvd_core.shot.shot import Shot

SCHEMA = "nvd.finish"
VERSION = 1
FINISH = "edits/finish.json"
HOLDOUTS = "edits/holdout"
"""the folder of holdout mattes: NAME.png for all frames, or NAME/%05d.png"""
NOT_FINISHED = (
    "edges, holdouts and motion blur (nvd finish) are not in these pictures: `nvd render` has them"
)
_FILE = EditDocument(
    SCHEMA,
    VERSION,
    "edges and motion blur",
    f"correct {FINISH}, or remove it: then paint meets the plate as the layers' mattes have it",
)
_PATH = text_like(rf"{HOLDOUTS}/[A-Za-z0-9_-]+(?:/%05d)?\.png", f"{HOLDOUTS}/NAME.png")


@dataclass(frozen=True)
class LayerEdges:
    """The edges of what is painted on one layer."""

    choke: Annotated[float, within(-MOST_CHOKE, MOST_CHOKE)] = field(default=0.0, metadata=OPTIONAL)
    """pixels by which they are drawn in; below 0 they spread"""
    feather: Annotated[float, within(0, MOST_FEATHER)] = field(default=0.0, metadata=OPTIONAL)
    """pixels to both sides over which they are softened"""
    spill: Annotated[float, within(0, 1)] = field(default=0.0, metadata=OPTIONAL)
    """how much of the replaced colour that the plate still shows at soft edges is taken out"""
    holdout: Annotated[str, _PATH] | None = field(default=None, metadata=OPTIONAL)
    """a matte below HOLDOUTS: white is what lies in front of the paint"""

    @property
    def widens(self) -> bool:
        """Whether paint may show where the layer's own matte is 0."""
        return self.choke < 0 or self.feather > 0 or self.spill > 0


@dataclass(frozen=True)
class MotionBlur:
    """The blur of what is painted along the motion of the layers' coordinates."""

    shutter: Annotated[float, within(0, MOST_SHUTTER)] = field(default=0.0, metadata=OPTIONAL)
    """frames that the shutter stays open, around the frame's own time; 0: no blur"""
    samples: Annotated[int, within(2, MOST_SAMPLES)] = field(
        default=DEFAULT_SAMPLES, metadata=OPTIONAL
    )
    """times at which the paint is looked at"""


@dataclass(frozen=True)
class Finish:
    """Edges by layer, and the motion blur of them all."""

    layers: Annotated[dict[Name, LayerEdges], Meta(max_length=MOST_LAYERS)] = field(
        default_factory=dict
    )
    motion_blur: MotionBlur = field(default=MotionBlur(), metadata=OPTIONAL)
    schema: str = SCHEMA
    version: int = VERSION

    def of(self, name: str) -> LayerEdges:
        """The edges of the layer `name`."""
        return self.layers.get(name, PLAIN_EDGES)

    def works_on(self, names: list[str]) -> bool:
        """Whether anything differs for paint on the layers `names`."""
        return bool(names) and (
            self.motion_blur.shutter > 0 or any(self.of(name) != PLAIN_EDGES for name in names)
        )

    def widens(self, name: str) -> bool:
        """Whether paint on the layer may show where its maps alone have none."""
        return self.motion_blur.shutter > 0 or self.of(name).widens

    def with_edge(self, name: str, **edges: Any) -> "Finish":
        """This, but for some edges of the layer `name`; unchecked."""
        own = replace(self.of(name), **edges)
        return replace(self, layers=self.layers | {name: own})

    def without(self, name: str) -> "Finish":
        """This, but for the layer `name`, whose edges are as its matte has them."""
        return replace(self, layers={n: own for n, own in self.layers.items() if n != name})


PLAIN_EDGES = LayerEdges()
PLAIN_FINISH = Finish()
"""paint meets the plate as the layers' mattes have it, and is as sharp as it was painted"""


def finish_path(shot: Shot) -> Path:
    """Where the file of `shot` is, or would be."""
    return inside(shot.folder, FINISH)


def holdout_path(shot: Shot, holdout: str, t: int) -> Path:
    """The image of a holdout matte for frame `t`."""
    return inside(shot.folder, str(frame_path(holdout, t)) if "%" in holdout else holdout)


def read_finish(shot: Shot) -> Finish:
    """What the folder says; PLAIN_FINISH where it says nothing. NvdError where it is damaged."""
    path = finish_path(shot)
    if not there(path.exists):
        return PLAIN_FINISH
    finish: Finish = _FILE.read_file(path, Finish, "layers", complete=True)
    check_finish(shot, finish, str(path))
    return finish


def write_finish(shot: Shot, finish: Finish) -> Path:
    """Check as a reader would, then write it into the folder; the file."""
    written = as_json(finish)
    check_finish(shot, _FILE.read(Finish, written, "the new edges", complete=True), "the new edges")
    return write_edit(finish_path(shot), written)


def check_finish(shot: Shot, finish: Finish, source: str) -> None:
    """What types alone do not say: NvdError for layers that are not there."""
    for name in finish.layers:
        if name not in shot.names:
            raise _FILE.not_valid(source, f"layers.{name}", f"one of {', '.join(shot.names)}", name)


def as_json(finish: Finish) -> dict:
    """What the file holds: what goes without saying is left out."""
    said: dict = {"schema": finish.schema, "version": finish.version, "layers": {}}
    for name, own in finish.layers.items():
        if own != PLAIN_EDGES:
            edges = {key: getattr(own, key) for key in (*EDGES, "holdout")}
            said["layers"][name] = {key: value for key, value in edges.items() if value}
    if finish.motion_blur != PLAIN_FINISH.motion_blur:
        said["motion_blur"] = asdict(finish.motion_blur)
    return said
