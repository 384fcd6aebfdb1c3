"""Two objects that cross before a background: hidden, and found again, from one drawn mask."""

from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.editing.render import render_frames
from nvd_core.evaluation.report import evaluate
from nvd_core.media.images import read_image, write_image
from nvd_core.shot.map_files import iter_maps
from nvd_core.shot.shot import Shot

pytestmark = pytest.mark.long

SMALL = """
iterations: 400
points: 800
texture_grid: {levels: 8, log2_table: 14}
residual_grid: {levels: 4, log2_table: 12}
alpha_grid: {levels: 7, log2_table: 14}
"""


@pytest.fixture(scope="module")
def shot(tmp_path_factory, crossing_clip) -> Shot:
    """The disc's masks are all given; the box behind it was drawn in frame 0 only."""
    folder = tmp_path_factory.mktemp("crossing")
    crossing_clip.write(folder)
    (folder / "small.yaml").write_text(SMALL)
    code = main(
        [
            "decompose", str(folder / "frames"), "--out", str(folder / "shot.nvd"), "--json",
            "--mask", f"disc={folder / 'disc'}", "--mask", f"box={folder / 'box' / '0000.png'}",
            "--settings", str(folder / "small.yaml"),
        ]
    )  # fmt: skip
    assert code == 0
    return Shot.open(folder / "shot.nvd")


def agreements(crossing_clip, shot: Shot) -> np.ndarray:  # [2, FRAMES]
    """IoU of disc and box with what is truly seen of them."""
    found = np.zeros((2, crossing_clip.FRAMES))
    for t, maps in enumerate(iter_maps(shot, range(crossing_clip.FRAMES))):
        for n, true in enumerate(crossing_clip.true_masks(t)):
            alpha = maps.uva[n, ..., 2] > 0.5
            found[n, t] = (alpha & true).sum() / (alpha | true).sum()
    return found


def test_three_layers_reproduce_the_clip(shot):
    assert shot.names == ["disc", "box", "background"]
    report = evaluate(shot)
    assert report["psnr"] > 30 and report["psnr_without_residual"] > 28


def test_what_was_hidden_is_found_again_from_one_drawn_mask(shot, crossing_clip):
    disc, box = agreements(crossing_clip, shot)
    assert disc.min() > 0.95
    assert box[:5].min() > 0.9 and box[-4:].min() > 0.85 and box.min() > 0.7


def test_paint_on_the_hidden_object_stays_behind_and_comes_back(
    shot, tmp_path: Path, crossing_clip
):
    edit = read_image(shot.texture_path("box"))
    edit[..., :3] = (0, 255, 0)
    write_image(tmp_path / "green.png", edit)
    rendered = list(render_frames(shot, {"box": tmp_path / "green.png"}))
    for t, frame in enumerate(rendered):
        before = read_image(shot.frame_path(t)).astype(int)
        (disc_x, disc_y), (box_x, box_y) = crossing_clip.places(t)
        ys, xs = np.mgrid[: before.shape[0], : before.shape[1]]
        disc = np.hypot(xs - disc_x, ys - disc_y) < 10
        middle = (
            (np.abs(xs - box_x) < 8) & (np.abs(ys - box_y) < 9) & ~crossing_clip.true_masks(t)[0]
        )
        assert np.abs(frame.astype(int) - before)[disc].mean() < 2
        green = frame[..., 1].astype(int) - frame[..., 0]
        assert not middle.any() or (green[middle] > 80).mean() > 0.8
    assert any(
        crossing_clip.true_masks(t)[0][
            int(crossing_clip.places(t)[1][1]), int(crossing_clip.places(t)[1][0])
        ]
        for t in range(crossing_clip.FRAMES)
    )
