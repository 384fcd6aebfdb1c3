"""Pins: maps written as they say, taken back without a trace, and obeyed by all that reads maps."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing import pin_maps
from nvd_core.editing.camera import bend_view
from nvd_core.editing.edits import load_texture
from nvd_core.editing.own_files import check_output
from nvd_core.editing.pin_edit import add_pin, remove_pins, set_pin
from nvd_core.editing.pin_maps import apply_pins
from nvd_core.editing.pin_places import applied_bends, original_layers, point_at
from nvd_core.editing.render import render, render_frames
from nvd_core.media.images import to_integers, write_image
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.map_forms import compact
from nvd_core.shot.maps import FrameMaps
from nvd_core.shot.pins import Pins, is_applied, original_path, pin_of, read_pins, write_pins
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex, checksum

FRAMES = 6
WALL = {"name": "wall", "layer": "background", "to": [[3, 12.5, 14.5], [5, 8.0, 16.0]]}
SEEN = 0, 20.0, 12.0


@pytest.fixture(scope="module")
def made(tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("made") / "shot.nvd", FRAMES, 96, 72)


@pytest.fixture
def shot(made, tmp_path):
    shutil.copytree(made.folder, tmp_path / "shot.nvd")
    return Shot.open(tmp_path / "shot.nvd")


def stand(shot) -> dict[str, str]:
    """What lies in maps/, by its name."""
    files = [path for path in sorted((shot.folder / "maps").rglob("*")) if path.is_file()]
    folder = shot.folder
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes()).hexdigest()
        for path in files
    }


def layer_of(shot, t, name):
    return read_frame_maps(shot, t).layer(shot.names.index(name))


def off(shot, pin) -> float:
    """Pixels by which the pin's point lies off, at the most."""
    found = []
    for t, x, y in pin.to:
        point, steps = point_at(layer_of(shot, t, pin.layer), x, y, "it", pin.layer, t)
        found.append(np.hypot(*np.linalg.solve(steps, point - pin.at)))
    return max(found)


def test_the_point_is_where_it_belongs_and_nothing_else_changes(shot):
    before = stand(shot)
    facts = add_pin(shot, dict(WALL), SEEN)
    (pin,) = read_pins(shot).pins
    assert is_applied(shot) and off(shot, pin) < 0.2 and facts["off"]["wall"] < 0.2
    assert facts["written"] == 5 and facts["pinned"] == 5
    after = stand(shot)
    assert after["maps/00000.exr"] == before["maps/00000.exr"]
    for t in range(1, FRAMES):
        assert after[f"maps/unpinned/{t:05d}.exr"] == before[f"maps/{t:05d}.exr"]
        for name in ("dog", "cat"):
            was = original_layers(shot, t)[shot.names.index(name)]
            now = layer_of(shot, t, name)
            for plane in ("u", "v", "alpha", "residual"):
                np.testing.assert_array_equal(getattr(now, plane), getattr(was, plane))
        was, now = original_layers(shot, t)[-1], layer_of(shot, t, "background")
        np.testing.assert_array_equal(now.alpha, was.alpha)
        assert not np.array_equal(now.u, was.u)
        assert not now.u[was.alpha == 0].any()


def test_the_index_is_of_the_new_maps(shot):
    add_pin(shot, dict(WALL), SEEN)
    index = TileIndex.load(shot.folder / "maps", shot.names, FRAMES)
    assert [checksum(shot.map_path(t)) for t in range(FRAMES)] == list(index.checksums)


def test_removing_every_pin_leaves_no_trace(shot):
    before = stand(shot)
    add_pin(shot, dict(WALL), SEEN)
    ear = {"name": "ear", "layer": "dog", "to": [[4, 44, 33]], "fade": [1, 1]}
    add_pin(shot, ear, (1, 40.0, 30.0))
    assert stand(shot) != before
    facts = remove_pins(shot, ["wall"])
    assert facts["restored"] == 1 and facts["pinned"] == 4
    remove_pins(shot, None)
    assert stand(shot) == before and not (shot.folder / "work").exists()


def test_order_and_detours_do_not_matter(shot):
    """Maps are always made of those that were baked."""
    add_pin(shot, dict(WALL), SEEN)
    once = stand(shot)
    set_pin(shot, "wall", {"to": [[0, 20.0, 12.0], [5, 14.0, 20.0]]})
    assert stand(shot) != once
    set_pin(shot, "wall", {"to": [list(SEEN), *WALL["to"]]})
    assert stand(shot) == once
    set_pin(shot, "wall", {"on": False})
    assert "maps/unpinned/00001.exr" not in stand(shot)


def test_an_interrupted_run_changes_nothing_and_goes_on(shot):
    before = stand(shot)

    class Stops(Progress):
        def update(self, done, **_):
            if done == 2:
                raise Cancelled

    with pytest.raises(Cancelled):
        add_pin(shot, dict(WALL), SEEN, progress=Stops())
    assert stand(shot) == before and not is_applied(shot)
    kept = {path.name: path.stat().st_mtime_ns for path in (shot.folder / "work/pins").iterdir()}
    assert len(kept) >= 2
    said = []
    progress = Progress()
    progress.caution = said.append
    render(shot, shot.folder.parent / "out/%05d.png", frames=(0, 1), progress=progress)
    assert any("nvd pins apply" in words for words in said)
    apply_pins(shot, read_pins(shot))
    assert is_applied(shot) and off(shot, read_pins(shot).pins[0]) < 0.2


def test_a_run_that_fails_while_files_change_places_changes_nothing(shot, monkeypatch):
    before = stand(shot)
    real, calls = pin_maps._stand_in, []

    def fails(source, temporary):
        calls.append(source)
        if len(calls) == 3:
            raise OSError(28, "no space left")
        real(source, temporary)

    monkeypatch.setattr(pin_maps, "_stand_in", fails)
    with pytest.raises((NvdError, OSError)):
        add_pin(shot, dict(WALL), SEEN)
    after = {name: digest for name, digest in stand(shot).items() if "unpinned" not in name}
    assert after == before


def test_what_is_rendered_follows(shot):
    """Paint where the pin's point lies shows at the pin's pixel."""
    texture = load_texture(shot, "background").copy()
    height, width = texture.shape[:2]
    add_pin(shot, dict(WALL), SEEN, later=True)
    u, v = read_pins(shot).pins[0].at
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    dot = np.exp(-((columns - u * width) ** 2 + (rows - v * height) ** 2) / 2)[..., None]
    painted = texture + dot * (1 - texture)
    write_image(shot.edit_path("background"), to_integers(painted, np.uint8))

    def centre() -> np.ndarray:
        plain = read_frame(shot, 5)
        (frame,) = render_frames(shot, frames=(5, 5), device="cpu")
        weight = np.abs(frame.astype(float) - plain).sum(2) ** 2
        y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]] + 0.5
        return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()

    wanted = np.array(WALL["to"][1][1:])
    assert np.hypot(*(centre() - wanted)) > 2
    apply_pins(shot, read_pins(shot))
    assert np.hypot(*(centre() - wanted)) < 0.7


def read_frame(shot, t):
    from nvd_core.media.images import read_image

    return read_image(shot.frame_path(t)).astype(float)


def test_whoever_asks_the_networks_bends_what_they_say(shot):
    """A camera that has not moved sees what the maps have."""
    add_pin(shot, dict(WALL), SEEN)
    bends = applied_bends(shot)
    for t in (0, 5):
        layers = original_layers(shot, t)
        uva = np.stack([np.stack([own.u, own.v, own.alpha], -1) for own in layers])
        maps = FrameMaps(uva, np.ones_like(uva))
        bend_view(maps, shot.names, bends, t)
        now = layer_of(shot, t, "background")
        shows = now.alpha > 0
        np.testing.assert_allclose(maps.uva[-1, ..., 0][shows], now.u[shows], atol=3e-4)
        np.testing.assert_allclose(maps.uva[-1, ..., 1][shows], now.v[shows], atol=5e-4)


@pytest.mark.parametrize(
    "words, match",
    [
        ("--layer dog --name a --at 0,2,2 --to 3,40,30", "the layer dog does not show at 2, 2"),
        ("--layer bird --name a --at 0,2,2 --to 3,40,30", "has no layer bird"),
        ("--layer dog --name a --at 0,40,30 --to 9,40,30", "to is not valid"),
        ("--layer dog --name a --at 0,40,30 --to 3,400,30", "to is not valid"),
        ("--layer dog --name a --at 0,40,30 --to 0,41,30", "to is not valid"),
        ("--layer dog --name a --at 0,40,30", "where the point belongs"),
        ("--layer dog --name a --at 0.5,40,30 --to 3,40,30", "number of a frame"),
        ("--layer dog --name a --at 0,40,30 --to 3,48,36 --radius 0.05", "would fold"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(shot, words, match, capsys):
    before = stand(shot)
    assert main(["pins", "add", str(shot.folder), *words.split()]) == 2
    assert match in capsys.readouterr().err
    assert stand(shot) == before and not (shot.folder / "edits/pins.json").exists()


def test_the_command_line_lists_changes_and_removes(shot, capsys):
    folder = str(shot.folder)
    add = "--layer background --name wall --at 0,20,12 --to 5,8,16 --later"
    assert main(["pins", "add", folder, *add.split()]) == 0
    assert main(["pins", "list", folder, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert listed["applied"] is False and listed["pins"][0]["name"] == "wall"
    assert main(["pins", "set", folder, "wall", "--rename", "door", "--fade", "2,1"]) == 0
    (pin,) = read_pins(shot).pins
    assert (pin.name, pin.fade) == ("door", (2, 1)) and is_applied(shot)
    assert main(["pins", "remove", folder, "wall"]) == 2
    assert main(["pins", "remove", folder]) == 2
    assert main(["pins", "remove", folder, "--all"]) == 0
    assert not read_pins(shot).pins and not original_path(shot, 5).exists()


def test_damaged_pins_are_named(shot):
    path = shot.folder / "edits/pins.json"
    for text, match in (("{", "cannot read"), ('{"schema": "nvd.pins", "version": 9}', "newer")):
        path.write_text(text)
        with pytest.raises(NvdError, match=match):
            read_pins(shot)


def test_what_a_pin_keeps_is_not_overwritten(shot):
    write_pins(shot, Pins((pin_of(WALL | {"at": [0.2, 0.2]}, "it"),)))
    with pytest.raises(NvdError, match="belongs to the decomposition"):
        check_output(shot, [original_path(shot, 0)], {})


def test_maps_that_are_compact_alone_are_pinned_and_come_back(shot):
    compact(shot, Progress())
    before, was = stand(shot), [read_frame_maps(shot, t) for t in range(FRAMES)]
    add_pin(shot, dict(WALL), SEEN)
    (pin,) = read_pins(shot).pins
    assert off(shot, pin) < 0.2
    for t in range(FRAMES):  # what the engine reads is what the pins wrote
        found = read_frame_maps(shot, t)
        assert np.array_equal(found.uva, was[t].uva) == (t == 0)
        np.testing.assert_array_equal(found.residual, was[t].residual)
    with pytest.raises(NvdError, match=r"5 frames.*have pins"):
        compact(shot, Progress())
    remove_pins(shot, None)
    for t in range(FRAMES):
        np.testing.assert_array_equal(read_frame_maps(shot, t).uva, was[t].uva)
    compact(shot, Progress())
    assert stand(shot) == before
