"""A full disk costs nothing: every kind of file, at every size from empty to enough."""

import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("resource", reason="no limit on files' sizes on this system")
from safetensors.torch import load_file

from nvd_core.cli.main import main
from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image, write_image
from nvd_core.media.writer import open_writer
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import copy_file, write_json, written_beside
from nvd_core.runtime.mapped_arrays import new_array
from nvd_core.settings import PRESETS, load_settings, save_settings
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.map_writer import write_maps
from nvd_core.shot.maps import LayerMaps, read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex
from nvd_core.training.checkpoint import save_checkpoint

PAGE = 4096
"""bytes that a tmpfs gives out at once"""
NAMES = ["dog", "cat", "background"]
OLD, NEW = 1, 2
"""seeds of what stands there and of what is written over it"""


def noise(seed: int, side: int = 60, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((side, side, channels), np.float32)


def as_bytes(seed: int, **shape: int) -> np.ndarray:
    return (noise(seed, **shape) * 255).astype(np.uint8)


def as_words(seed: int, **shape: int) -> np.ndarray:
    return (noise(seed, **shape) * 65535).astype(np.uint16)


def write_movie(path: Path, seed: int) -> None:
    with open_writer(path, 48, 32, Fraction(25)) as writer:
        for index in range(3):
            writer.write(index, as_bytes(seed + 10 * index, side=48)[:32])


def write_arrays(path: Path, seed: int) -> None:
    """Small and large ones: numpy itself does not notice that a small one was cut off."""
    with written_beside(path) as temporary:
        np.save(temporary, noise(seed, side=9))


def write_mapped(path: Path, seed: int) -> None:
    with written_beside(path) as temporary:
        array = new_array(temporary, (60, 60, 3))
        array[:] = as_bytes(seed)
        array.flush()


def write_tensors(path: Path, seed: int) -> None:
    torch.manual_seed(seed)
    save_checkpoint(path, torch.nn.Linear(60, 60), [], seed)


def write_tiles(path: Path, seed: int) -> None:
    tiles = {"dog": noise(seed) > 0.5}
    TileIndex(tiles, np.arange(60, dtype=np.uint32)).save(path.parent)


def write_settings(path: Path, seed: int) -> None:
    settings = PRESETS["fast"]()
    settings.iterations = seed
    save_settings(settings, path)


def write_copy(path: Path, seed: int) -> None:
    copy_file(copied(seed), path)


@functools.cache
def copied(seed: int) -> Path:
    path = Path(tempfile.mkdtemp()) / "copied.png"
    write_image(path, as_bytes(seed))
    return path


def layer_maps(seed: int) -> list[LayerMaps]:
    """Maps that hardly compress, of the layers NAMES."""
    random = np.random.default_rng(seed)
    size = (36, 48)
    uva = random.random((len(NAMES), 3, *size), np.float32)
    light = random.random((len(NAMES), *size, 3)).astype(np.float16)
    return [LayerMaps(*planes, residual) for planes, residual in zip(uva, light, strict=True)]


def read_all_maps(path: Path) -> np.ndarray:
    maps = read_maps(path, NAMES)
    return np.concatenate([maps.uva, maps.residual], -1)


def read_movie(path: Path) -> np.ndarray:
    return np.stack(list(open_clip(path)))


@dataclass
class Kind:
    """How a kind of file is written for a seed, and read for a comparison."""

    name: str
    write: Callable[[Path, int], None]
    read: Callable[[Path], object]


def image(name: str, values: Callable, **shape: int) -> Kind:
    return Kind(name, lambda path, seed: write_image(path, values(seed, **shape)), read_image)


def halves(seed: int, **shape: int) -> np.ndarray:
    return noise(seed, **shape).astype(np.float16)


KINDS = {
    "png": image("a.png", as_bytes),
    "png of one page": image("a.png", as_bytes, side=12),
    "png, 16 bits, with alpha": image("a.png", as_words, channels=4),
    "png of grey and alpha": image("a.png", as_bytes, channels=2),
    "tif": image("a.tif", as_bytes),
    "tif of one page": image("a.tif", as_bytes, side=12),
    "tif of floats": image("a.tif", noise, side=40),
    "jpg": image("a.jpg", as_bytes),
    "grey jpeg": image("a.jpeg", as_bytes, channels=1),
    "exr": image("a.exr", halves),
    "exr of one page": image("a.exr", halves, side=12),
    "exr of floats": image("a.exr", noise, side=40),
    "maps": Kind(
        "00000.exr",
        lambda path, seed: write_maps(path, NAMES, layer_maps(seed)),
        read_all_maps,
    ),
    "index of tiles": Kind(
        "tiles.npz", write_tiles, lambda path: TileIndex.load(path.parent, ["dog"], 60).tiles["dog"]
    ),
    "array": Kind("motion.npy", write_arrays, np.load),
    "mapped array": Kind("frames.npy", write_mapped, np.load),
    "checkpoint": Kind(
        "checkpoint.safetensors", write_tensors, lambda path: load_file(path)["model.weight"]
    ),
    "json": Kind(
        "job.json", lambda path, seed: write_json(path, [seed] * 3000), lambda p: p.read_text()
    ),
    "settings": Kind("settings.yaml", write_settings, lambda path: load_settings(path).iterations),
    "copy": Kind("a.png", write_copy, read_image),
    "mp4": Kind("a.mp4", write_movie, read_movie),
    "mkv": Kind("a.mkv", write_movie, read_movie),
    "mov": Kind("a.mov", write_movie, read_movie),
}


@pytest.fixture(scope="module")
def disk(tmp_path_factory, full_disk):
    with full_disk.small_disk(tmp_path_factory.mktemp("mounted") / "disk", 2**20) as disk:
        if disk is None:
            pytest.skip("no tmpfs may be mounted here: the limits on files' sizes stand for it")
        yield disk


def written(kind: Kind, folder: Path, seed: int) -> tuple[bytes, object]:
    """The bytes of the file and what a reader makes of them."""
    path = folder / kind.name
    kind.write(path, seed)
    return path.read_bytes(), kind.read(path)


def check_outcome(kind: Kind, path: Path, old: bytes, new: object) -> bool:
    """Whether the file could be written: it is whole then, or else the old one, and that is said.

    Call it where there is little room.
    """
    try:
        kind.write(path, NEW)
    except NvdError as error:
        assert path.read_bytes() == old
        assert f"cannot write {path}" in error.problem
        assert "free some space" in error.remedy and "is kept as it was" in error.found
        return False
    np.testing.assert_array_equal(kind.read(path), new)
    return True


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_takes_a_file_whole_or_not_at_all(name, disk, tmp_path):
    kind = KINDS[name]
    new_bytes, new = written(kind, tmp_path, NEW)
    path = disk.folder / kind.name
    outcomes = []
    for free in range(0, len(new_bytes) + 3 * PAGE, PAGE):
        disk.empty()
        kind.write(path, OLD)
        disk.leave(free)
        outcomes.append(check_outcome(kind, path, path.read_bytes(), new))
        assert disk.files() == [kind.name]
    path.unlink()
    assert not outcomes[0] and outcomes[-1]
    assert outcomes == sorted(outcomes)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_off_anywhere_is_not_taken(name, tmp_path, full_disk):
    kind = KINDS[name]
    new_bytes, new = written(kind, tmp_path, NEW)
    old, _ = written(kind, tmp_path, OLD)
    size = len(new_bytes)
    outcomes = []
    for limit in sorted(
        {*np.linspace(0, size - 1, 12).astype(int), size - 9, size - 2, size + 999}
    ):
        with full_disk.files_up_to(int(limit)):
            outcomes.append(check_outcome(kind, tmp_path / kind.name, old, new))
        assert [path.name for path in tmp_path.iterdir()] == [kind.name]
    assert not any(outcomes[:-1]) and outcomes[-1]


def test_where_nothing_can_be_reserved_zeros_are_written(disk, monkeypatch, full_disk):
    """As on macOS: a mapped file whose pages have no room yet ends the process when one is used."""
    monkeypatch.delattr("os.posix_fallocate")
    kind = KINDS["mapped array"]
    with full_disk.files_up_to(9000), pytest.raises(NvdError, match="cannot write"):
        kind.write(disk.folder / kind.name, NEW)
    assert disk.files() == []
    kind.write(disk.folder / kind.name, NEW)
    np.testing.assert_array_equal(np.load(disk.folder / kind.name), as_bytes(NEW))
    (disk.folder / kind.name).unlink()


@pytest.fixture
def own_disk(tmp_path, full_disk):
    with full_disk.small_disk(tmp_path / "disk", 2**21) as disk:
        if disk is None:
            pytest.skip("no tmpfs may be mounted here")
        yield disk


def contents(folder: Path) -> dict[str, bytes]:
    """What stands in a folder, but for what is known of a rendering."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.suffix != ".json"}


def painted_picture(path: Path, colour: int) -> Path:
    """Paint that lies on the dog and the background of frame 1."""
    paint = np.zeros((36, 48, 4), np.uint8)
    paint[13:23, 2:20] = colour, 90, 60, 255
    write_image(path, paint)
    return path


class TestCommands:
    def test_paint(self, own_disk, tmp_path, capsys, synthetic):
        shot = synthetic.make_shot(own_disk.folder / "shot.nvd", texture_depth=16)
        picture = painted_picture(tmp_path / "paint.png", 200)
        words = "paint", shot.folder, "--frame", 1, "--image", picture
        before = contents(shot.folder / "edits")
        for free in range(0, 40 * PAGE, PAGE):
            own_disk.leave(free)
            if main([str(word) for word in words]) == 0:
                break
            assert "kept as it was" in capsys.readouterr().err
            assert contents(shot.folder / "edits") == before
        assert free > PAGE  # for two images
        after = contents(shot.folder / "edits")
        assert {name for name in after if after[name] != before[name]} == {
            "dog.png",
            "background.png",
        }
        for path in (shot.folder / "edits").iterdir():
            read_image(path)

    @pytest.mark.parametrize("name", ["%05d.png", "result.mp4"])
    def test_render(self, name, own_disk, tmp_path, capsys, synthetic):
        shot = synthetic.make_shot(tmp_path / "shot.nvd", frames=2)
        out = own_disk.folder / "render" / name
        assert main(["render", str(shot.folder), "--out", str(out)]) == 0
        old = contents(out.parent)
        picture = painted_picture(tmp_path / "paint.png", 200)
        assert main(["paint", str(shot.folder), "--frame", "1", "--image", str(picture)]) == 0
        render = "render", str(shot.folder), "--again", "--out"
        assert main([*render, str(tmp_path / "whole" / name)]) == 0
        new = contents(tmp_path / "whole")
        for free in range(0, 99 * PAGE, PAGE):
            own_disk.leave(free)
            if main([*render, str(out)]) == 0:
                break
            said = capsys.readouterr().err
            assert "free some space" in said and ".rendered.json (" not in said
            for file, stands in contents(out.parent).items():
                assert stands in (old[file], new[file])
        assert free > 0
        if name.endswith("png"):
            assert contents(out.parent) == new
        np.testing.assert_array_equal(*(read_rendered(f) for f in (out.parent, tmp_path / "whole")))

    def test_decompose_goes_on_from_wherever_the_disk_was_full(
        self, own_disk, tmp_path, capsys, tiny_clip
    ):
        clip, masks = tiny_clip.write(tmp_path)
        settings = tmp_path / "settings.yaml"
        grids = "{levels: 4, log2_table: 10}"
        settings.write_text(
            f"iterations: 2\npoints: 100\ntexture_grid: {grids}\nmapping: {{grid: {grids}}}\n"
            f"residual_grid: {grids}\nalpha_grid: {grids}\n"
        )
        folder = own_disk.folder / "shot.nvd"
        begin = "decompose", clip, "--out", folder, "--settings", settings, "--mask", f"a={masks}"
        said, free = [], 6 * PAGE
        own_disk.grow(2**24)
        for _ in range(25):
            own_disk.leave(free)
            words = ("resume", folder) if (folder / "job.json").exists() else begin
            if main([str(word) for word in words]) == 0:
                break
            said.append(capsys.readouterr().err)
            assert "cannot write" in said[-1] and "what to do" in said[-1]
            free = own_disk.free + (70 if "checkpoint" in said[-1] else 25) * PAGE
        shot = Shot.open(folder)
        shot.check()
        assert len(list(iter_maps(shot, range(shot.frames)))) == 8
        for file in ("frames", "flow_", "checkpoint.safetensors", "maps"):  # of every stage
            assert any(file in line for line in said)


def read_rendered(folder: Path) -> np.ndarray:
    files = [path for path in sorted(folder.iterdir()) if path.suffix != ".json"]
    return np.stack([frame for file in files for frame in _frames_of(file)])


def _frames_of(file: Path) -> list[np.ndarray]:
    return [read_image(file)] if file.suffix == ".png" else list(open_clip(file))
