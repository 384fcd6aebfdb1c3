"""The table of scenes with a known truth: masks as an artist draws them, failures that are said."""

import json
import sys

import numpy as np
import pytest
from bench import measure_truth

from nvd_core.evaluation.truth.folder import Truth
from nvd_core.media.images import read_image

pytestmark = pytest.mark.slow


@pytest.fixture
def truth(truth_shots) -> Truth:
    return Truth.open(truth_shots.TURNING)


def test_dilated_masks_are_wider_all_around(truth, tmp_path):
    folder = measure_truth.masks(tmp_path, truth, "toy", "dilated")
    assert len(list(folder.iterdir())) == truth.frames
    true = read_image(truth.path("masks", 3, "toy"))[..., 0] > 127
    wide = read_image(folder / "00003.png")[..., 0] > 127
    assert (wide | ~true).all()
    for axis in (0, 1):
        grown, was = (np.flatnonzero(mask.any(axis)) for mask in (wide, true))
        assert (was[0] - grown[0], grown[-1] - was[-1]) == (6, 6)


def test_one_mask_is_drawn_where_the_object_is_whole(truth, tmp_path):
    path = measure_truth.masks(tmp_path, truth, "toy", "drawn")
    t = int(path.stem)
    np.testing.assert_array_equal(read_image(path), read_image(truth.path("masks", t, "toy")))
    largest = max(int(truth.alpha(k)[0].sum()) for k in range(truth.frames))
    assert truth.alpha(t)[0].sum() > 0.88 * largest


@pytest.mark.long
def test_a_scene_that_fails_does_not_stop_the_others(tmp_path, monkeypatch, capsys):
    """bending holds no uv, so the truth cannot stand for a decomposition; turning does."""
    words = ["measure_truth.py", "bending", "turning", "--masks", "truth", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    assert measure_truth.main() == 1
    table = json.loads((tmp_path / "table.json").read_text())
    (row,) = table["rows"]
    assert row["scene"] == "turning" and row["edit_psnr"] > row["edit_psnr_unpainted"] + 12
    assert "bending" in table["failed"][0] and "no uv" in table["failed"][0]
    assert "| turning | truth |" in (tmp_path / "table.md").read_text()
    assert "| turning | truth |" in capsys.readouterr().out
    before = (tmp_path / "turning-truth.nvd" / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", [*words[:1], *words[2:]])
    assert measure_truth.main() == 0  # and what is done is not done again
    assert (tmp_path / "turning-truth.nvd" / "manifest.json").stat().st_mtime_ns == before
