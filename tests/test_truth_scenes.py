"""Surfaces in several pieces, and what the small scenes say of paint that can be known."""

import json

import numpy as np
import pytest
from scenes.truth.pieces import GAP, Limb, Piece, joined, post
from scenes.truth.surfaces import Mark

from nvd_core.evaluation.truth.folder import Truth


def flat(x: float):
    """A square metre that stands at x."""

    def place(u, v, s):
        return np.stack([x + u, 0 * u, v], -1)

    return place


def test_pieces_lie_side_by_side_and_do_not_touch():
    textures = [np.zeros((4, wide, 3), np.float32) for wide in (10, 30)]
    marks = [Mark("A", 0.5, 0.5, 0.1, (1, 1, 1)), Mark("D", 0.5, 0.5, 0.1, (1, 1, 1))]
    us = np.linspace(0, 1, 4)
    pieces = [
        Piece(flat(x), texture, us, marks=[mark])
        for x, texture, mark in zip((0, 5), textures, marks, strict=True)
    ]
    sheet = joined("two", pieces, np.linspace(0, 1, 3))
    assert len(sheet.us) == 8 and sheet.cuts == (3,) and (np.diff(sheet.us) > 0).all()
    assert sheet.us[3] == pytest.approx(0.25 - GAP) and sheet.us[4] == pytest.approx(0.25 + GAP)
    world = sheet.place(sheet.us, np.full(8, 0.5), 0.0)
    np.testing.assert_allclose(world[:, 0], [0, 1 / 3, 2 / 3, 1, 5, 5 + 1 / 3, 5 + 2 / 3, 6])
    assert sheet.mark.u == pytest.approx(0.125, abs=GAP)
    assert sheet.also[0].u == pytest.approx(0.625, abs=GAP) and sheet.also[0].word == "D"


def test_a_limb_keeps_its_length_and_bends_at_its_joint():
    limb = Limb(1.0, [(0, 0.1), (1, 0.1)], joint=0.5)
    straight, _ = limb.line(30, 30)
    np.testing.assert_allclose(straight[-1], [np.sin(np.pi / 6), -np.cos(np.pi / 6)], atol=0.01)
    bent, _ = limb.line(30, -60)
    assert np.linalg.norm(np.diff(bent, axis=0), axis=1).sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(bent[40], straight[40], atol=1e-9)
    assert bent[-1, 0] < straight[-1, 0] - 0.5
    front = limb.place(np.array(0.5), np.array(0.9), 0, 0)
    np.testing.assert_allclose(front, [0, -0.1, -0.1], atol=0.01)


def test_a_post_stands_on_the_floor():
    corners = post(2.0, 1.0, 0.4, 3.0)(np.arange(5) / 4, np.array([0, 0, 1, 1, 0.5]), 0.0)
    np.testing.assert_allclose(
        corners, [[1.8, 1.2, 0], [1.8, 0.8, 0], [2.2, 0.8, 3], [2.2, 1.2, 3], [1.8, 1.2, 1.5]]
    )


def test_what_the_edit_frame_shows_is_given(truth_shots):
    truth = Truth.open(truth_shots.TURNING.parent / "walker")
    edit = truth.edit_frame
    painted, given = truth.painted(edit), truth.given(edit)
    assert painted[0].sum() > 20
    assert np.abs(painted - given).mean() < 0.03 * painted.mean(), "all that it shows is given"
    for t in (0, truth.frames - 1):
        more = (truth.given(t) - truth.painted(t)).clip(0)  # but for the renders' own noise
        assert more.mean() < 0.02 * truth.painted(t).mean()
    assert json.loads((truth.folder / "truth.json").read_text())["edit_frames"] == [edit]
