"""What is laid over frames: the grid lies where the maps say, the doubt where it is wrong."""

import numpy as np
import pytest

from nvd_core.editing.overlay import CELLS, Doubt, grid_lines, undecided
from nvd_core.editing.render import render
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import FrameMaps, read_maps


@pytest.fixture(scope="module")
def shot(tmp_path_factory, synthetic):
    return synthetic.make_shot(tmp_path_factory.mktemp("overlay") / "shot.nvd", 3, 96, 72)


def flat(height=64, width=128, share=1.0) -> np.ndarray:
    """Maps of a layer that fills the frame with `share` of its texture."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    return np.dstack([x / width * share, 1 - y / height * share, np.ones_like(x)]).astype("f4")


def test_lines_lie_on_the_textures_cells_and_are_as_wide_everywhere():
    for share in (1.0, 0.5):
        lines = grid_lines(flat(share=share), (128, 64))
        rows = lines[32 // CELLS * 2 + 2]  # between two lines across
        step = 128 / CELLS / share
        for k in range(1, int(CELLS * share)):
            near = round(k * step)
            wide = rows[near - 4 : near + 4].sum()
            assert wide == pytest.approx(2.8 if k % 4 == 0 else 1.4, abs=0.3)
        assert rows[round(step / 2)] == 0


def test_a_grid_over_frames_keeps_what_lies_between(shot, tmp_path):
    render(shot, tmp_path / "%05d.png", overlay="grid", device="cpu")
    made, plain = (read_image(p) for p in (tmp_path / "00001.png", shot.frame_path(1)))
    changed = (made != plain).any(2)
    assert 0.05 < changed.mean() < 0.9
    render(shot, tmp_path / "none/%05d.png", overlay="grid", overlay_opacity=0, device="cpu")
    np.testing.assert_array_equal(read_image(tmp_path / "none/00001.png"), plain)


def test_doubt_is_where_the_picture_is_off(shot):
    doubt = Doubt(shot)
    maps, frame = read_maps(shot.map_path(0), shot.names), read_image(shot.frame_path(0))
    before, _ = doubt.of_frame(frame, maps)
    wrong = frame.copy()
    wrong[4:16, 4:16] = 255 - wrong[4:16, 4:16] // 2
    after, _ = doubt.of_frame(wrong, maps)
    assert after[8:12, 8:12].min() > before[8:12, 8:12].max()
    np.testing.assert_allclose(after[40:, 40:], before[40:, 40:], atol=1e-5)


def test_doubt_is_where_a_map_folds_and_where_alpha_is_undecided(shot):
    doubt = Doubt(shot)
    maps, frame = read_maps(shot.map_path(0), shot.names), read_image(shot.frame_path(0))
    maps.uva[-1, 2:8, 2:20, 0] = maps.uva[-1, 2:8, 2:20, 0][:, ::-1]
    folds = doubt.of_frame(frame, maps)[1]
    assert folds[3:6, 4:17].all() and not folds[50:, :20].any()
    half = np.zeros((1, 72, 96, 3), np.float32)
    half[..., 2] = np.where(np.arange(96) < 40, 0.5, 1)
    found = undecided(FrameMaps(half, np.ones_like(half)))
    assert found[:, :35].min() == 1 and not found[:, 45:].any()


def test_the_result_says_which_frames_to_doubt(shot, tmp_path):
    wrong = read_image(shot.frame_path(2))
    kept = wrong.copy()
    wrong[10:60, 10:60] = 255 - wrong[10:60, 10:60]
    write_image(shot.frame_path(2), wrong)
    try:
        facts = render(shot, tmp_path / "%05d.png", overlay="doubt", device="cpu")
    finally:
        write_image(shot.frame_path(2), kept)
    assert facts["worst_frames"][0] == 2 and set(facts["doubt_by_frame"]) == {"0", "1", "2"}


def test_what_does_not_go_together_is_refused(shot, tmp_path):
    out = tmp_path / "%05d.png"
    for given, match in (
        ({"overlay": "stars"}, "no such overlay"),
        ({"overlay": "grid", "overlay_opacity": 2.0}, "that opaque"),
        ({"overlay": "grid", "layer": "dog"}, "rendered alone"),
    ):
        with pytest.raises(NvdError, match=match):
            render(shot, out, **given)
    assert not list(tmp_path.iterdir())
