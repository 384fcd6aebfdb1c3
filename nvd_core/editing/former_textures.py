"""What stood before textures of another size: textures/former.json, by which that is taken back."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from nvd_core.runtime.declared import Name, within
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import write_json
from nvd_core.runtime.inside import inside
from nvd_core.runtime.reading import there
from nvd_core.runtime.sizes import MOST_PIXELS
from nvd_core.shot.edit_document import EditDocument
from nvd_core.shot.shot import Shot

SCHEMA = "nvd.former_textures"
VERSION = 1
FILE = "textures/former.json"
_FILE = EditDocument(
    SCHEMA, VERSION, "former textures", f"remove {FILE}: `nvd textures --size` makes any size anew"
)
Sum = Annotated[int, within(0, 2**32 - 1)]


@dataclass(frozen=True)
class FormerLayer:
    """The images of a layer before, and by which it is seen what was painted since."""

    name: Name
    texture: str
    edit: str
    texture_width: Annotated[int, within(1, MOST_PIXELS)]
    texture_height: Annotated[int, within(1, MOST_PIXELS)]
    before: Sum
    """of the content of `edit` when its paint was carried over"""
    instead: str
    """the texture that took its place"""
    made: Sum
    """of the content of the edit that took its place"""


@dataclass(frozen=True)
class Former:
    """All that the file says."""

    texture_size: Annotated[int, within(1, 4)]
    layers: tuple[FormerLayer, ...]
    schema: str = SCHEMA
    version: int = VERSION

    def of(self, name: str) -> FormerLayer:
        """That of the layer `name`."""
        return next(layer for layer in self.layers if layer.name == name)


def read_former(shot: Shot) -> Former:
    """What stood before; NvdError where there is nothing, or the textures are others by now."""
    path = inside(shot.folder, FILE)
    if not there(path.exists):
        raise NvdError(
            f"the textures of {shot.folder} had no other size before",
            expected=f"a folder in which `nvd textures --size` left {FILE}",
            found="no such file",
            remedy="choose a size: nvd textures --size 1",
        )
    former: Former = _FILE.read(Former, _FILE.load(path), str(path))
    named = [layer.name for layer in former.layers]
    shown = [shot.layer(name).texture for name in named if name in shot.names]
    if named != shot.names or shown != [layer.instead for layer in former.layers]:
        raise NvdError(
            "the textures have been made anew since they got another size",
            remedy="choose a size: nvd textures --size 1",
        )
    for layer in former.layers:
        if not there(inside(shot.folder, layer.texture).is_file):
            raise NvdError(
                f"{layer.texture} has been removed",
                remedy="choose a size, it is made anew: nvd textures --size 1",
            )
    return former


def write_former(old: Shot, new: Shot) -> None:
    """Note what `old`, the folder as it was, showed where it shows `new` now."""
    layers = [
        {
            "name": record.name,
            "texture": record.texture,
            "edit": record.edit,
            "texture_width": record.texture_width,
            "texture_height": record.texture_height,
            "before": content_sum(old.edit_path(record.name)),
            "instead": new.layer(record.name).texture,
            "made": content_sum(new.edit_path(record.name)),
        }
        for record in old.manifest.layers
    ]
    said = {"schema": SCHEMA, "version": VERSION, "texture_size": old.manifest.texture_size}
    write_json(inside(old.folder, FILE), said | {"layers": layers}, durable=True)


def content_sum(path: Path) -> int:
    """Of a file's content; 0 where there is none."""
    return zlib.crc32(path.read_bytes()) if path.is_file() else 0
