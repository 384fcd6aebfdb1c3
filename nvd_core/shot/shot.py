"""An opened decomposition folder: its manifest and the paths of its files."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from nvd_core.media.sequences import frame_path
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.folder_lock import mend
from nvd_core.runtime.inside import check_links, inside
from nvd_core.runtime.reading import there
from nvd_core.shot.manifest import LayerRecord, Manifest, read_manifest
from nvd_core.shot.map_chunks import chunk_name

REFINED = "refined."
"""what the folders of states begin with that were put in place of the first; a number follows"""
_MOST_MISSING = 1000


@dataclass(frozen=True)
class Shot:
    """A finished decomposition on disk."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path | str) -> "Shot":
        """Open `folder`; NvdError where it holds no valid, finished decomposition, or leads out."""
        folder = Path(folder)
        manifest = read_manifest(folder)
        check_links(folder)
        shot = cls(folder, manifest)
        parts = {shot.edit_path(name).parent for name in shot.names}
        mend(folder, parts | {shot.map_path(0).parent})
        return shot

    @property
    def names(self) -> list[str]:
        """The layers' names, front to back."""
        return self.manifest.names

    @property
    def frames(self) -> int:
        """How many frames the clip has."""
        return self.manifest.clip.frames

    def layer(self, name: str) -> LayerRecord:
        """The record of the layer `name`; NvdError that lists the layers where there is none."""
        for layer in self.manifest.layers:
            if layer.name == name:
                return layer
        raise NvdError(
            f"{self.folder} has no layer {name}",
            expected=f"one of {', '.join(self.names)}",
            found=name,
            remedy="choose one of the layers listed",
        )

    def frame_path(self, index: int) -> Path:
        """The file of frame `index`, from 0."""
        return inside(self.folder, frame_path(self.manifest.frames, index))

    def map_path(self, index: int) -> Path:
        """The file of the maps of frame `index`, from 0."""
        return inside(self.folder, frame_path(self.manifest.maps, index))

    def has_maps(self, index: int) -> bool:
        """Whether there are maps of frame `index`, as EXR or compact."""
        path = self.map_path(index)
        compact = inside(self.folder, path.with_name(chunk_name(index)).relative_to(self.folder))
        return there(compact.is_file) or there(path.is_file)

    def texture_path(self, name: str) -> Path:
        """The learned texture of the layer `name`."""
        return inside(self.folder, self.layer(name).texture)

    def edit_path(self, name: str) -> Path:
        """The image in which the layer `name` is painted."""
        return inside(self.folder, self.layer(name).edit)

    @property
    def networks(self) -> Path:
        """The folder of the networks that were baked, and of their settings."""
        relative = self.manifest.networks
        return self.folder if relative is None else inside(self.folder, relative)

    def mask_path(self, name: str, index: int) -> Path:
        """The coarse mask of the layer `name` in frame `index`; not there if none was given."""
        return inside(self.folder, f"masks/{self.layer(name).name}/{index:05d}.png")

    @property
    def report(self) -> Path:
        """The folder of the report, there or not."""
        return inside(self.folder, "report")

    def check_frame(self, t: int) -> None:
        """NvdError where the clip has no frame `t`, counted from 0."""
        if not 0 <= t < self.frames:
            raise NvdError(
                f"there is no frame {t}",
                expected=f"0 to {self.frames - 1}",
                found=str(t),
                remedy="choose a frame of the clip, counted from 0",
            )

    def check(self, frames: tuple[int, int] | None = None) -> None:
        """NvdError where frames, maps or textures are missing; `frames` is a range, inclusive."""
        missing = list(islice(self._missing(*(frames or (0, self.frames - 1))), _MOST_MISSING))
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            more += " or even more" if len(missing) == _MOST_MISSING else ""
            listed = ", ".join(str(path.relative_to(self.folder)) for path in missing[:3])
            raise NvdError(
                f"files are missing in {self.folder}",
                found=f"no {listed}{more}",
                remedy="copy the folder again with all its files, "
                "or make it again with `nvd decompose`",
            )

    def _missing(self, first: int, last: int) -> Iterator[Path]:
        """The files that are not there; however many are claimed, none is listed beforehand."""
        for name in self.names:
            if not there((path := self.texture_path(name)).is_file):
                yield path
        for index in range(first, last + 1):
            if not there((path := self.frame_path(index)).is_file):
                yield path
            if not self.has_maps(index):
                yield self.map_path(index)
