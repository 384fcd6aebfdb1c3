"""Objects taken out of the picture: `nvd render --remove`."""

import importlib
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.clean_plate import LearnedBackground
from nvd_core.editing.render import render
from nvd_core.media.images import encode_srgb, read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.finish import read_finish
from nvd_core.shot.map_files import read_frame_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.values import PLAIN

pytestmark = pytest.mark.slow


@pytest.fixture
def shot(trained, tmp_path) -> Shot:
    shutil.copytree(trained().folder, tmp_path / "shot.nvd")
    return Shot.open(tmp_path / "shot.nvd")


@pytest.fixture
def wall(tiny_clip):
    """What a frame of the tiny clip shows without the disc, 0 to 255."""
    whole = tiny_clip.noise(1, tiny_clip.HEIGHT, tiny_clip.WIDTH + tiny_clip.FRAMES, 2.0)

    def of_frame(t: int) -> np.ndarray:
        return whole[:, t : t + tiny_clip.WIDTH] * (0.85 + 0.15 * np.cos(t)) * 255

    return of_frame


def mask(shot: Shot, t: int) -> np.ndarray:
    return read_image(shot.mask_path("disc", t))[..., 0] > 127


def rendered(shot: Shot, **words) -> list[np.ndarray]:
    out = shot.folder.parent / "out"
    render(shot, out / "%05d.png", remove=["disc"], **words)
    return [
        read_image(path).astype(float) for path in sorted(out.iterdir()) if path.suffix == ".png"
    ]


def off(frame: np.ndarray, wall: np.ndarray, inside: np.ndarray) -> float:
    """How far it is from what lies behind the disc, where the mask is."""
    return np.sqrt(((frame - wall)[inside] ** 2).mean())


def test_behind_the_object_is_the_background_as_it_was_seen(shot, wall):
    for t, frame in enumerate(rendered(shot)):
        plate, inside = read_image(shot.frame_path(t)).astype(float), mask(shot, t)
        assert off(frame, wall(t), inside) < off(plate, wall(t), inside) / 3
        shown = read_frame_maps(shot, t, ["disc"]).uva[0, ..., 2] > 0
        away = cv2.distanceTransform((~shown).astype(np.uint8), cv2.DIST_L2, 5)
        far = away > 2 * 2 + 1  # twice what the hole is grown by
        assert far.mean() > 0.5
        np.testing.assert_array_equal(frame[far], plate[far])


def test_no_seam_is_left_where_the_light_was_learned_wrong(shot):
    """The learned background is made darker everywhere: the hole is not, as the plate around is."""
    before = rendered(shot)[4]
    path = shot.texture_path("background")
    for image in (path, shot.edit_path("background")):
        darker = read_image(image)
        darker[..., :3] = darker[..., :3] * 0.85
        write_image(image, darker)
    after, inside = rendered(shot)[4], mask(shot, 4)
    assert abs((after - before)[inside].mean()) < 2 < 0.1 * before[inside].mean()


def test_paint_on_the_background_shows_behind(shot):
    image = read_image(shot.edit_path("background"))
    image[..., :3] = 250, 0, 0
    write_image(shot.edit_path("background"), image)
    frame, inside = rendered(shot)[4], mask(shot, 4)
    assert frame[inside][:, 0].mean() > 150 and frame[inside][:, 1].mean() < 40


@pytest.mark.parametrize("mode", ["delta", "full"])
def test_whole_numbers_and_floats_are_one_picture(shot, tmp_path, mode):
    """Paint brighter than white is cut in whole numbers when all is done, and not before the light
    at the hole's rim is looked at."""
    image = read_image(shot.edit_path("background"))
    half = image.shape[1] // 2
    image[:, :half, :3], image[:, half:, :3] = 255, 0
    write_image(shot.edit_path("background"), image)
    values = PLAIN.with_value("background", "light", 1.5)
    finish = read_finish(shot).with_edge("disc", choke=1.0) if mode == "full" else None
    words = {"remove": ["disc"], "values": values, "finish": finish, "frames": (3, 4)}
    render(shot, tmp_path / "whole/%05d.png", bit_depth=16, mode=mode, **words)
    render(shot, tmp_path / "float/%05d.exr", bit_depth="float", mode=mode, **words)
    for t in (3, 4):
        whole = read_image(tmp_path / f"whole/{t:05d}.png") / 65535
        bright = encode_srgb(read_image(tmp_path / f"float/{t:05d}.exr"))
        assert np.abs(bright - bright.clip(0, 1)).max() > 0.01  # something is to be cut
        assert np.abs(whole - bright.clip(0, 1)).max() < 3 / 65535


def test_what_was_never_seen_is_marked_and_said(shot):
    path = shot.texture_path("background")
    image = read_image(path)
    image[:, image.shape[1] // 2 :, 3] = 0
    for place in (path, shot.edit_path("background")):
        write_image(place, image)
    said = []
    progress = Progress()
    progress.caution = said.append
    mattes = shot.folder.parent / "unseen"
    rendered(shot, unseen=mattes / "%05d.png", progress=progress)
    shares = []
    for t in range(shot.frames):
        matte, inside = read_image(mattes / f"{t:05d}.png")[..., 0], mask(shot, t)
        assert matte[~inside & (np.abs(np.arange(80) - 22 - 3 * t) > 20)].max(initial=0) == 0
        shares.append((matte[inside] > 127).mean())
    assert shares[0] < 0.3 and shares[-1] > 0.7
    assert any("never shows" in word and "background" in word for word in said)


def test_it_is_rendered_again_where_the_hole_changed(shot):
    first = rendered(shot, grow=0)
    second = rendered(shot, grow=6)
    assert not np.array_equal(first[3], second[3])


def test_in_full_and_to_a_movie(shot, wall, tmp_path):
    frame, inside = rendered(shot, mode="full")[4], mask(shot, 4)
    plate = read_image(shot.frame_path(4)).astype(float)
    assert off(frame, wall(4), inside) < off(plate, wall(4), inside) / 3
    words = ["render", str(shot.folder), "--out", str(tmp_path / "one.mp4"), "--remove", "disc"]
    assert main(words) == 0
    assert (tmp_path / "one.mp4").stat().st_size > 1000


def test_its_own_visibility_does_not_matter(shot):
    hidden = PLAIN.with_value("disc", "visibility", 0)
    plain = rendered(shot)
    for one, other in zip(plain, rendered(shot, values=hidden, again=True), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"remove": ["background"]}, "nothing lies behind"),
        ({"remove": ["horse"]}, "no layer horse"),
        ({"remove": ["disc"], "layer": "disc"}, "rendered alone"),
        ({"grow": 3}, "none is"),
        ({"unseen": "x/%05d.png"}, "none is"),
        ({"remove": ["disc"], "unseen": "x.png"}, "no pattern"),
        ({"remove": ["disc"], "grow": 1000}, "grown"),
    ],
)
def test_what_is_refused(shot, words, said, tmp_path):
    with pytest.raises(NvdError, match=said):
        render(shot, tmp_path / "out/%05d.png", **words)
    assert not (tmp_path / "out").exists()


def test_mattes_overwrite_no_plate(shot, tmp_path):
    with pytest.raises(NvdError, match="frames"):
        render(
            shot,
            tmp_path / "out/%05d.png",
            remove=["disc"],
            unseen=shot.folder / "frames/%05d.png",
        )


def test_without_networks_it_says_so(shot, tmp_path):
    (shot.folder / "checkpoint.safetensors").unlink()
    with pytest.raises(NvdError, match="without its trained networks"):
        render(shot, tmp_path / "out/%05d.png", remove=["disc"])


@pytest.fixture
def measured(shot, wall, monkeypatch):
    """What tools/bench/measure_clean.py says of the tiny clip, whose wall is known."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tools"))
    figures = importlib.import_module("bench.measure_clean").clean_figures
    return lambda: figures(shot, lambda t: (wall(t).astype(np.float32) / 255, mask(shot, t)))


def test_by_the_truth_in_decibels(measured):
    """Behind the disc, both ways; nothing changes elsewhere, and all of the wall was seen."""
    found = measured()
    print(found)
    assert found["never_share"] < 0.05
    for kind in ("removed_seen", "clean_plate_seen"):
        assert found[kind] > found["plate_seen"] + 10, kind
    assert found["outside"] > 30


def test_the_measure_tells_a_hole_from_the_background(measured, monkeypatch):
    """With the places behind the disc taken from beside it, the figures fall."""
    good = measured()
    monkeypatch.setattr(LearnedBackground, "uncover", _beside)
    spoilt = measured()
    for kind in ("removed_seen", "clean_plate_seen"):
        assert spoilt[kind] < good[kind] - 3, kind


def _beside(self, maps, t, where=None):
    """Every hidden place is that of the picture's corner."""
    hidden = maps.uva[0, ..., 2] == 0
    maps.uva[0, hidden, :2] = maps.uva[0, 0, 0, :2]
    maps.uva[0, ..., 2] = 1
