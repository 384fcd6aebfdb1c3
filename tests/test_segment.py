"""Clicks and boxes become masks: holes stay, what is taken away goes, edges are soft."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.cli.segment import click
from nvd_core.priors.click_mask import Clicks, cut_out
from nvd_core.priors.soft_edge import softened
from nvd_core.segment import outlines

CROSSING = Path(__file__).parents[1] / "samples/truth/crossing"


def overlap(found, true):
    return (found & true).sum() / (found | true).sum()


def disc(shape, x, y, radius):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(columns - x, rows - y) <= radius


@pytest.fixture
def picture(moving_clips):
    """A texture [120, 200, 3] to put things on."""
    return (moving_clips.texture(120, 200) // 3 + 60).astype(np.uint8)


def put(picture, where, colour):
    grain = np.random.default_rng(1).normal(0, 5, (*picture.shape[:2], 1))
    picture[where] = np.clip(np.array(colour) + grain, 0, 255)[where]


def test_a_hole_stays_a_hole(picture):
    ring = disc(picture.shape, 90, 60, 34) & ~disc(picture.shape, 90, 60, 14)
    put(picture, ring, (190, 60, 40))
    mask = cut_out(picture, Clicks(((115.0, 60.0),)))
    assert overlap(mask > 0.5, ring) > 0.95
    assert mask[60, 90] < 0.1


def test_a_click_takes_away_and_one_adds(picture):
    """Three things of one colour, two of them joined by a bridge."""
    left, right = disc(picture.shape, 60, 60, 20), disc(picture.shape, 110, 60, 20)
    apart = disc(picture.shape, 170, 60, 16)
    bridge = np.zeros_like(left)
    bridge[57:63, 75:95] = True
    for where, colour in ((left | bridge, (60, 150, 60)), (right, (50, 140, 90))):
        put(picture, where, colour)
    put(picture, apart, (60, 150, 60))
    both = cut_out(picture, Clicks(((60.0, 60.0), (110.0, 60.0))))
    assert overlap(both > 0.5, left | right | bridge) > 0.9
    one = cut_out(picture, Clicks(((60.0, 60.0),), ((110.0, 60.0),)))
    assert overlap(one > 0.5, left | bridge) > 0.85 and one[60, 110] == 0
    more = cut_out(picture, Clicks(((60.0, 60.0), (110.0, 60.0), (170.0, 60.0))))
    assert more[60, 170] == 1 and more[20, 140] == 0


def test_a_box_is_enough(picture):
    true = disc(picture.shape, 100, 55, 30)
    put(picture, true, (200, 190, 60))
    mask = cut_out(picture, Clicks(box=(66, 21, 134, 89)))
    assert overlap(mask > 0.5, true) > 0.97


def test_edges_come_out_as_soft_as_they_are(picture):
    """A blurred disc: the guided filter finds more of its alpha than a hard edge has."""
    sharp = disc(picture.shape, 100, 60, 30).astype(np.float32)
    alpha = cv2.GaussianBlur(sharp, (0, 0), 2.0)[..., None]
    colour = np.array([210, 60, 50], np.float32)
    mixed = np.rint(alpha * colour + (1 - alpha) * picture).astype(np.uint8)
    soft = softened(mixed, sharp, 5)
    error = np.abs(soft - alpha[..., 0])
    assert error.mean() < 0.5 * np.abs(sharp - alpha[..., 0]).mean()
    far = np.abs(cv2.distanceTransform(1 - sharp.astype(np.uint8), cv2.DIST_L2, 3)) > 7
    assert soft[far].max() == 0


def test_lines_hold_the_mask(picture):
    true = disc(picture.shape, 90, 60, 34) & ~disc(picture.shape, 90, 60, 14)
    lines = outlines(true.astype(np.float32))
    assert len(lines) == 2 and all(len(line) < 60 for line in lines)
    turns = [np.sign(cv2.contourArea(line.astype(np.float32), oriented=True)) for line in lines]
    assert turns[0] == -turns[1], "a hole runs the other way round"
    drawn = np.zeros(true.shape, np.uint8)
    for line, value in zip(lines, (1, 0), strict=True):  # the larger one first
        cv2.fillPoly(drawn, [np.rint(line).astype(np.int32)], value)
    assert overlap(drawn > 0, true) > 0.95


def deepest(true):
    away = cv2.distanceTransform(true.astype(np.uint8), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(away.argmax()), away.shape)
    return f"{column},{row}"


@pytest.fixture(scope="module")
def masks():
    """By name the true masks of the middle frame."""
    read = {n: cv2.imread(str(CROSSING / f"masks/{n}/00008.png"), 0) > 127 for n in ("ball", "toy")}
    return read


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ball", "toy"])
def test_of_two_that_pass_each_other_the_clicked_one(masks, name, tmp_path, capsys):
    words = ["segment", str(CROSSING / "frames"), "--frame", "8", "--click", deepest(masks[name])]
    out, outline = tmp_path / "a.png", tmp_path / "a.json"
    assert main([*words, "--out", str(out), "--outline", str(outline), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert found.shape == masks[name].shape and overlap(found > 127, masks[name]) > 0.75
    noted = json.loads(outline.read_text())
    assert (noted["width"], noted["height"]) == found.shape[::-1]
    assert result["moves"] and len(noted["lines"]) == result["lines"] >= 1


def test_numbers_are_the_sources_own_where_that_is_said(tmp_path, masks):
    """Frame 1008 by number is the one that is the eighth from 0."""
    for path in (CROSSING / "frames").iterdir():
        (tmp_path / "shot").mkdir(exist_ok=True)
        (tmp_path / "shot" / f"{1000 + int(path.stem)}.png").write_bytes(path.read_bytes())
    found = []
    for source, *frame in ((CROSSING / "frames", "8"), (tmp_path / "shot", "1008")):
        words = ["segment", str(source), "--still", "--click", deepest(masks["ball"])]
        words += ["--frame", *frame] + (["--start", "source"] if frame == ["1008"] else [])
        assert main([*words, "--out", str(tmp_path / "a.png")]) == 0
        found.append((tmp_path / "a.png").read_bytes())
    assert found[0] == found[1]


def test_a_minus_before_a_click():
    assert click("3,4.5") == (True, 3, 4.5) and click("-0,4") == (False, 0, 4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--click", "-5,5"], "nothing says where the object is"),
        ([], "nothing says where the object is"),
        (["--click", "5000,5"], "beside the picture"),
        (["--click", "5,5", "--click=-5,5000"], "beside the picture"),
        (["--box", "9,9,5,20"], "nothing of the picture"),
        (["--click", "nan,5"], "expected X,Y"),
        (["--click", "5,5", "--out", "a.jpg"], "no image that keeps a mask"),
        (["--click", "5,5", "--frame", "99"], "not in"),
    ],
)
def test_what_points_at_nothing_is_refused(words, said, tmp_path, capsys):
    base = ["segment", str(CROSSING / "frames"), "--frame", "3", "--out", str(tmp_path / "a.png")]
    assert main(base + words) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("results", [["src/0003.png"], ["src/new.png"], ["a.png", "a.png"]])
def test_results_never_take_the_clips_place(results, tmp_path, capsys):
    source = Path(shutil.copytree(CROSSING / "frames", tmp_path / "src"))
    before = {path: path.read_bytes() for path in source.iterdir()}
    words = ["segment", str(source), "--frame", "3", "--still", "--click", "50,40"]
    words += ["--out", str(tmp_path / results[0])]
    words += ["--outline", str(tmp_path / results[1])] if results[1:] else []
    name = next(source.iterdir())
    words[words.index("--out") + 1] = words[words.index("--out") + 1].replace("0003.png", name.name)
    assert main(words) == 2
    assert "choose another" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in source.iterdir()} == before
