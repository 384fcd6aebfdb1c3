"""The report: figures of a shot whose truth is known, pictures that show it, cautions in words."""

import json
from pathlib import Path

import numpy as np
import pytest

from nvd_core.evaluation.pictures import contact_sheet, on_checker, shrunk
from nvd_core.evaluation.report import cautions, evaluate
from nvd_core.media.images import read_image, write_image
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_writer import write_maps


class Listening(Progress):
    """Progress that remembers."""

    def __init__(self):
        super().__init__()
        self.heard, self.psnrs = [], []

    def caution(self, text):
        self.heard.append(text)

    def _show(self, done, psnr, preview):
        self.psnrs.append(psnr)


@pytest.mark.parametrize("bit_depth", [8, "half"])
def test_a_perfect_decomposition(tmp_path, bit_depth, synthetic):
    shot = synthetic.make_shot(tmp_path, bit_depth=bit_depth)
    report = evaluate(shot)
    assert report["psnr"] > 55
    assert report["psnr_without_residual"] < report["psnr"] - 10
    assert report["ssim"] > 0.999
    assert report["folded"] == 0
    assert report["folded_by_layer"] == dict.fromkeys(synthetic.NAMES, 0)
    assert len(report["psnr_per_frame"]) == 3
    assert report["alpha_iou"] == {}
    assert json.loads((shot.report / "report.json").read_text()) == report


def test_masks_are_compared_where_there_are_any(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    for index in range(3):
        alpha = synthetic.frame_maps(index, 48, 36)[0].alpha
        mask = np.where(alpha > 0.5, 255, 0).astype(np.uint8)[..., None]
        write_image(shot.mask_path("dog", index), mask)
        write_image(shot.mask_path("cat", index), np.zeros_like(mask))
    report = evaluate(shot)
    assert report["alpha_iou"] == {"dog": 1.0, "cat": 0.0}
    write_image(shot.mask_path("dog", 1), mask[:-1])
    with pytest.raises(NvdError, match="another size"):
        evaluate(shot)


def test_edits_do_not_change_the_figures(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    before = evaluate(shot)
    image = synthetic.texture("background")
    image[..., :3] = 255
    write_image(shot.edit_path("background"), image)
    assert evaluate(shot) == before


def test_a_bad_decomposition_is_told(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    for index in range(3):
        layers = synthetic.frame_maps(index, 48, 36)
        layers[1].u[:, 30:] = 1 - layers[1].u[:, 30:]
        layers[2].u[:] = layers[2].u[:, ::-1]
        write_maps(shot.map_path(index), synthetic.NAMES, layers)
    progress = Listening()
    report = evaluate(shot, progress)
    assert report["psnr"] < 24
    assert 0.02 < report["folded_by_layer"]["cat"] < 0.5
    assert report["folded_by_layer"]["dog"] == 0
    assert 0 < report["folded"] < report["folded_by_layer"]["cat"]
    assert progress.heard == report["cautions"]
    assert any("poorly" in text for text in progress.heard)
    assert any("cat is folded" in text for text in progress.heard)
    assert progress.psnrs[-1] == pytest.approx(report["psnr"], abs=0.001)


def test_cautions_say_their_figures():
    good = {
        "psnr": 31.0,
        "psnr_without_residual": 27.0,
        "folded_by_layer": {"dog": 0.02, "background": 0.0},
        "alpha_iou": {"dog": 0.7, "cat": None},
    }
    assert cautions(good) == []
    (text,) = cautions(good | {"psnr_without_residual": 25.0})
    assert "31.0 to 25.0 dB" in text
    (text,) = cautions(good | {"psnr": 20.0, "psnr_without_residual": 19.0})
    assert "20.0 dB" in text
    (text,) = cautions(good | {"folded_by_layer": {"dog": 0.034}})
    assert "3.4 % of the layer dog" in text
    (text,) = cautions(good | {"folded_by_layer": {"dog": None}})
    assert "dog covers no pixel" in text
    (text,) = cautions(good | {"alpha_iou": {"dog": 0.61}})
    assert "0.61" in text


def test_pictures_show_frames_and_textures(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path, frames=4)
    evaluate(shot)
    names = {path.name for path in shot.report.iterdir()}
    for index in (0, 2, 3):
        for kind in (
            "frame", "reconstruction", "difference_x4", "alpha", "residual", "checkerboard",
        ):  # fmt: skip
            name = f"{kind}_{index:05d}.png"
            assert name in names
            assert read_image(shot.report / name).shape == (36, 48, 3)
    true = read_image(shot.frame_path(2)).astype(int)
    np.testing.assert_array_equal(read_image(shot.report / "frame_00002.png"), true)
    assert np.abs(read_image(shot.report / "reconstruction_00002.png") - true).max() <= 1
    assert read_image(shot.report / "difference_x4_00002.png").max() <= 4
    edited = read_image(shot.report / "checkerboard_00002.png").astype(int)
    assert (np.abs(edited - true).max(2) > 20).mean() > 0.5
    assert {"texture_dog.png", "texture_cat.png", "texture_background.png"} <= names
    sheet = read_image(shot.report / "contact_sheet.png")
    assert sheet.shape[0] > 4 * 180
    assert sheet.std() > 20


def test_missing_files_are_told_before_anything_is_written(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path)
    shot.frame_path(1).unlink()
    with pytest.raises(NvdError, match=r"frames/00001\.png"):
        evaluate(shot)
    assert not shot.report.exists()


def test_contact_sheet_takes_pictures_of_any_size():
    random = np.random.default_rng(0)
    rows = [
        [random.integers(0, 255, (h, w, 3), np.uint8) for h, w in sizes]
        for sizes in ([(50, 80), (400, 20)], [(3, 3)])
    ]
    sheet = contact_sheet(rows, [["one", "a label longer than its picture"], ["two"]], height=60)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] == 2 * (60 + 18 + 6) + 6
    with pytest.raises(ValueError, match="label"):
        contact_sheet(rows, [["one"], ["two"]])


def test_checker_shows_only_through_transparency():
    colours = np.full((16, 16, 3), 0.2, np.float32)
    alpha = np.ones((16, 16, 1), np.float32)
    alpha[:, 8:] = 0
    picture = on_checker(colours, alpha)
    assert (picture[:, :8] == 51).all()
    assert len(np.unique(picture[:, 8:])) == 2
    assert shrunk(picture, 8).shape == (8, 8, 3)
    assert shrunk(picture, 100) is picture


def test_docs_list_every_figure(tmp_path, synthetic):
    page = Path(__file__).parents[1] / "docs" / "reference" / "decomposition-folder.md"
    text = page.read_text("utf-8")
    rows = text[text.index("| `frames` | how many") :].split("\n\n")[0].splitlines()
    documented = ["schema", "version", *(row.split("`")[1] for row in rows)]
    assert documented == list(evaluate(synthetic.make_shot(tmp_path)))
