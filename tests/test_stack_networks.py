"""The stack of edits where the networks are asked: the camera moved, objects removed, and textures
of another size."""

import shutil

import numpy as np
import pytest

from nvd_core.editing.camera import render_camera
from nvd_core.editing.clean_plate import CleanPlate
from nvd_core.editing.render import render
from nvd_core.editing.texture_size import resize_textures
from nvd_core.media.images import read_image
from nvd_core.shot.shot import Shot
from nvd_core.shot.stack import Entry, read_stack
from nvd_core.shot.values import PLAIN

pytestmark = pytest.mark.slow
RANGE = (2, 3)


@pytest.fixture
def shot(trained, tmp_path, stacked) -> Shot:
    """Its background is green in RANGE."""
    shutil.copytree(trained().folder, tmp_path / "shot.nvd")
    shot = Shot.open(tmp_path / "shot.nvd")
    path = stacked.add_file(shot, "a.png", stacked.picture(stacked.GREEN))
    stacked.put(shot, Entry("a", "background", "picture", file=path, frames=RANGE))
    return shot


def is_green(image: np.ndarray) -> bool:
    """Whether most of it is."""
    red, green, blue = (image[..., n].astype(float) for n in range(3))
    return float(((green > 60) & (red < 40) & (blue < 40)).mean()) > 0.5


def numbered(folder) -> list[np.ndarray]:
    return [read_image(path) for path in sorted(folder.glob("0*.png"))]


def test_the_camera_shows_it_in_its_frames(shot, tmp_path):
    render_camera(shot, tmp_path / "%05d.png", [], hold=0, frames=(1, 4), device="cpu")
    assert [is_green(image) for image in numbered(tmp_path)] == [False, True, True, False]


def test_behind_what_is_removed_it_shows_in_its_frames(shot, tmp_path):
    render(shot, tmp_path / "%05d.png", remove=["disc"], frames=(1, 4))
    for t, image in enumerate(numbered(tmp_path), start=1):
        inside = read_image(shot.mask_path("disc", t))[..., 0] > 127
        assert is_green(image[inside][None]) == (RANGE[0] <= t <= RANGE[1]), t


def test_the_clean_plate_has_it(shot):
    plate = CleanPlate(shot, {}, PLAIN, shot.manifest.clip)
    shown = [is_green(image) for image in plate.frames(range(1, 5))]
    assert shown == [False, True, True, False]


def test_textures_of_another_size_keep_it(shot, tmp_path):
    before = read_stack(shot)
    resize_textures(shot, 2)
    larger = Shot.open(shot.folder)
    assert read_stack(larger) == before
    render(larger, tmp_path / "%05d.png", frames=(1, 4), mode="full")
    assert [is_green(image) for image in numbered(tmp_path)] == [False, True, True, False]
