"""Edits that are brought from one decomposition of a clip to another."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.carry import carried_values, carry, find_all_places
from nvd_core.editing.edits import load_edit
from nvd_core.editing.render import render_frames
from nvd_core.editing.shared_frames import shared_frames
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.manifest import PartRecord, read_manifest, write_manifest
from nvd_core.shot.map_writer import MapWriter
from nvd_core.shot.maps import read_maps
from nvd_core.shot.pins import Pins, pin_of, read_applied, read_pins, write_pins
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN, read_values, write_values


@pytest.fixture
def shot(tmp_path, synthetic) -> Shot:
    folder = tmp_path / "old.nvd"
    synthetic.make_shot(folder)
    return Shot.open(folder)


def painted(shot: Shot, name: str) -> np.ndarray:
    """Paint the layer: a hard square, a soft one, and single texels of noise."""
    image = read_image(shot.texture_path(name)).copy()
    height, width = image.shape[:2]
    rows, columns = slice(height // 4, height // 2), slice(width // 4, width // 2)
    image[rows, columns, :3] = 255, 0, 40
    image[rows, columns, 3] = 255
    image[height // 2 : -4, 3 : width // 3, :3] //= 2
    image[height // 2 :: 3, width // 2 :: 3, :3] = np.random.default_rng(4).integers(0, 256, 3)
    write_image(shot.edit_path(name), image)
    return image


def copied(shot: Shot, to: str) -> Shot:
    folder = shot.folder.parent / to
    shutil.copytree(shot.folder, folder)
    for name in shot.names:
        shutil.copy(folder / shot.layer(name).texture, folder / shot.layer(name).edit)
    return Shot.open(folder)


def test_the_same_mapping_gives_the_same_paint(shot):
    new = copied(shot, "new.nvd")
    was = {name: painted(shot, name) for name in shot.names}
    facts = carry(shot, new)
    assert sorted(facts["carried"]) == sorted(shot.names)
    for name in shot.names:
        before = load_edit(shot, name, shot.edit_path(name))
        after = load_edit(new, name, new.edit_path(name))
        assert np.abs(before.delta - after.delta).max() <= 1 / 255 + 1e-6
        untouched = np.abs(before.delta).max(2) == 0
        image = read_image(new.edit_path(name))
        np.testing.assert_array_equal(image[untouched], was[name][untouched])
        assert facts["spread"][name] < 1e-3


def turned(shot: Shot, to: str, larger: int = 1) -> Shot:
    """The same decomposition with every texture mirrored left to right, and `larger`."""
    folder = shot.folder.parent / to
    shutil.copytree(shot.folder, folder)
    manifest = read_manifest(folder)
    records = []
    for record in manifest.layers:
        image = np.ascontiguousarray(read_image(folder / record.texture)[:, ::-1])
        image = image.repeat(larger, 0).repeat(larger, 1)
        for path in (record.texture, record.edit):
            write_image(folder / path, image)
        size = {"texture_width": image.shape[1], "texture_height": image.shape[0]}
        records.append(replace(record, **size))
    write_manifest(folder, replace(manifest, layers=records))
    with MapWriter(folder / "maps", shot.names) as writer:
        for t in range(shot.frames):
            maps = read_maps(folder / f"maps/{t:05d}.exr", shot.names)
            layers = [maps.layer(n) for n in range(len(shot.names))]
            for layer in layers:
                layer.u = np.where(layer.alpha > 0, 1 - layer.u, 0).astype(np.float32)
            writer.write(t, layers)
    return Shot.open(folder)


def test_another_mapping_shows_the_same_picture(shot):
    new = turned(shot, "new.nvd")
    image = painted(shot, "cat")
    carry(shot, new)
    now, own = read_image(new.edit_path("cat")), read_image(new.texture_path("cat"))
    seen = find_all_places(shot, new, ["cat"], Progress())["cat"].seen
    apart = np.abs(now[..., :3].astype(int) - image[:, ::-1, :3])
    assert np.percentile(apart[seen], 99) <= 2  # places as stored are off by 0.02 texels
    assert (now != own).any()
    for was, is_now in zip(render_frames(shot), render_frames(new), strict=True):
        assert np.abs(was.astype(int) - is_now).max() <= 6


def test_pins_come_along_and_wait(shot, capsys):
    """The point where its paint is, the targets where they were; the maps are not touched."""
    own = read_maps(shot.map_path(1), shot.names).layer(shot.names.index("cat"))
    rows, columns = np.nonzero(own.alpha > 0.9)
    pixel = rows[len(rows) // 2], columns[len(rows) // 2]
    at = [float(own.u[pixel]), 1 - float(own.v[pixel])]
    said = {"name": "ear", "layer": "cat", "at": at, "to": [[1, 30.0, 20.0], [2, 31.0, 20.0]]}
    gone = {"name": "gone", "layer": "cat", "at": [0.001, 0.001], "to": [[1, 30.0, 20.0]]}
    write_pins(shot, Pins(tuple(pin_of(one, "it") for one in (said, gone))))
    new = turned(shot, "new.nvd")
    (new.folder / "edits/pins.json").unlink()
    painted(shot, "cat")
    before = [new.map_path(t).read_bytes() for t in range(new.frames)]
    assert main(["carry", str(shot.folder), str(new.folder)]) == 0
    (pin,) = read_pins(new).pins
    assert pin.at == pytest.approx([1 - at[0], at[1]], abs=2e-3)
    assert (pin.name, pin.to) == ("ear", ((1, 30.0, 20.0), (2, 31.0, 20.0)))
    assert not read_applied(new).pins
    assert before == [new.map_path(t).read_bytes() for t in range(new.frames)]
    words = capsys.readouterr().err
    assert "ear are carried over and not applied" in words and "gone have no place" in words


def test_pins_stay_behind_where_the_layer_has_parts_now(shot, capsys):
    said = {"name": "ear", "layer": "cat", "at": [0.5, 0.5], "to": [[1, 30.0, 20.0]]}
    write_pins(shot, Pins((pin_of(said, "it"),)))
    new = copied(shot, "new.nvd")
    (new.folder / "edits/pins.json").unlink()
    halves = PartRecord("rest", (0.0, 0.0, 0.5, 1.0)), PartRecord("ear", (0.5, 0.0, 1.0, 1.0))
    manifest = read_manifest(new.folder)
    layers = [replace(r, parts=halves if r.name == "cat" else ()) for r in manifest.layers]
    write_manifest(new.folder, replace(manifest, layers=layers))
    painted(shot, "cat")
    assert main(["carry", str(shot.folder), str(new.folder)]) == 0
    assert not read_pins(Shot.open(new.folder)).pins  # such a file could not even be read
    assert "ear were not carried over: a layer with parts takes none" in capsys.readouterr().err


def test_a_larger_texture_takes_the_paint(shot):
    new = turned(shot, "new.nvd", larger=2)
    painted(shot, "background")
    carry(shot, new)
    for was, is_now in zip(render_frames(shot), render_frames(new), strict=True):
        assert np.sqrt(((was.astype(float) - is_now) ** 2).mean()) < 6


def test_an_edit_of_another_size_keeps_its_own_factor(shot):
    new = turned(shot, "new.nvd")
    image = painted(shot, "dog").repeat(3, 0).repeat(3, 1)
    write_image(shot.edit_path("dog"), image)
    carry(shot, new)
    assert read_image(new.edit_path("dog")).shape == image.shape


def test_paint_beyond_what_is_seen_goes_along(shot):
    new = turned(shot, "new.nvd")
    image = read_image(shot.texture_path("cat")).copy()
    image[...] = 200, 10, 10, 255
    write_image(shot.edit_path("cat"), image)
    facts = carry(shot, new)
    assert facts["unseen"]["cat"] > 0
    np.testing.assert_array_equal(read_image(new.edit_path("cat")), image)


def test_faint_paint_lies_on_the_new_texture(shot):
    """Where the new texture has learned more, a faint change does not bring the old one along."""
    new = copied(shot, "new.nvd")
    better = read_image(new.texture_path("cat")).copy()
    better[10:20, 10:20, :3] = 120
    for path in (new.texture_path("cat"), new.edit_path("cat")):
        write_image(path, better)
    faint = read_image(shot.texture_path("cat")).copy()
    faint[..., :3] -= 8
    write_image(shot.edit_path("cat"), faint)
    carry(shot, new)
    now = read_image(new.edit_path("cat")).astype(int)
    inner = np.s_[12:18, 12:18, :3]
    brought = np.abs(now[inner] - 112) / np.abs(112 - faint[inner].astype(int)).clip(20)
    assert brought.max() < 0.25


def test_values_go_along_with_their_keys(shot):
    new = copied(shot, "new.nvd")
    painted(shot, "dog")
    values = PLAIN.with_value("dog", "light", 0.5).with_value(
        "cat", "visibility", 0.25, 1, "linear"
    )
    write_values(shot, values)
    carry(shot, new)
    assert read_values(new) == read_values(shot)


def test_frames_are_the_same_by_the_sources_numbers(shot):
    new = copied(shot, "new.nvd")
    manifest = read_manifest(new.folder)
    clip = replace(manifest.clip, first_frame=1, frames=2)
    write_manifest(new.folder, replace(manifest, clip=clip))
    write_values(shot, PLAIN.with_value("cat", "visibility", 0.25, 0, "linear"))
    new = Shot.open(new.folder)
    assert shared_frames(shot, new) == [(1, 0), (2, 1)]
    values, said = carried_values(shot, new)
    assert values == PLAIN and "cat" in said[0]  # its key is on a frame that is not there


def test_what_is_refused(shot):
    new = copied(shot, "new.nvd")
    with pytest.raises(NvdError, match="no paint"):
        carry(shot, new)
    painted(shot, "cat")
    painted(new, "cat")
    with pytest.raises(NvdError, match="painted already, on cat"):
        carry(shot, new)
    with pytest.raises(NvdError, match="no layer horse"):
        carry(shot, new, ["horse"])
    with pytest.raises(NvdError, match="no paint"):
        carry(shot, new, ["dog"])
    edit = read_image(new.edit_path("cat"))
    edit[:5, :5] = 1, 2, 3, 255
    write_image(new.edit_path("cat"), edit)
    carry(shot, new, over=True)
    assert not np.array_equal(edit, read_image(new.edit_path("cat")))
    manifest = read_manifest(new.folder)
    write_manifest(new.folder, replace(manifest, clip=replace(manifest.clip, first_frame=100)))
    with pytest.raises(NvdError, match="no frames in common"):
        carry(shot, Shot.open(new.folder), over=True)


def test_the_command(shot, capsys):
    new = copied(shot, "new.nvd")
    painted(shot, "cat")
    assert main(["carry", str(shot.folder), str(new.folder), "--layer", "cat"]) == 0
    assert "cat" in capsys.readouterr().out
    assert main(["carry", str(shot.folder), str(new.folder)]) == 2
    assert main(["carry", str(shot.folder), str(new.folder), "--over"]) == 0
