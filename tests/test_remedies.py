"""Every caution that may stand in a manifest or in a report has its remedy."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import nvd_core
from nvd_core.evaluation.remedies import OTHER, REMEDIES, remedy_for
from nvd_core.evaluation.report import cautions
from nvd_core.priors.cautions import find_cautions
from nvd_core.work import FLOW_OK, FRAMES, MASKS

PACKAGE = Path(nvd_core.__file__).parent

PLACES = [
    ("priors/cautions.py", None),
    ("priors/parallax.py", "about_parallax"),
    ("priors/found_parts.py", "about_parts"),
    ("priors/found_parts.py", "about_windows"),
    ("priors/found_parts.py", "about_missed"),
    ("priors/cut_cautions.py", "about_cuts"),
    ("priors/masks.py", "_taken_as_first"),
    ("priors/mask_labels.py", "about_colours"),
    ("priors/mask_numbers.py", "matched"),
    ("priors/mask_numbers.py", "_about_numbers"),
    ("media/sequences.py", "_left_out"),
    ("media/sequences.py", "_without_gaps"),
    ("media/found_timeline.py", None),
    ("media/described.py", "described"),
    ("media/movie_frames.py", "frame_cautions"),
    ("media/movie_frames.py", "colour_cautions"),
    ("media/movies.py", "_described"),
    ("media/conformed.py", "cautions"),
    ("media/clip.py", "_uneven"),
    ("media/colour_tags.py", "cautions_about"),
    ("media/colour_tags.py", "_about_linear"),
    ("media/input_space.py", "_about_paint"),
    ("media/animated_webp.py", "__init__"),
    ("pipeline.py", "_about_file_rules"),
    ("evaluation/report.py", "cautions"),
]
"""where sentences for the manifest and the report are put together: module, function"""


def sentences(module: str, function: str | None) -> list[str]:
    """The f-strings of a function long enough to be a sentence, with 7 for whatever stands in."""
    tree = ast.parse((PACKAGE / module).read_text("utf-8"))
    bodies = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    assert bodies or function is None, f"{module} has no {function} any more"
    raised = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        for part in ast.walk(node)
    }
    found = []
    for body in bodies or [tree]:
        for node in ast.walk(body):
            if not isinstance(node, ast.JoinedStr) or id(node) in raised:
                continue
            parts = [p.value if isinstance(p, ast.Constant) else "7" for p in node.values]
            text = "".join(parts)
            if len(text) >= 30:
                found.append(text)
    return found


@pytest.mark.parametrize("module, function", PLACES)
def test_every_sentence_has_a_remedy(module, function):
    found = sentences(module, function)
    assert found
    for text in found:
        assert remedy_for(text) != OTHER, text


def test_every_remedy_is_of_some_sentence():
    every = [text for place in PLACES for text in sentences(*place)]
    every += ["the brightness changes a lot over the clip: the learned light will be uneven"]
    every += ["the background's motion could not be followed as a plane: its texture may be"]
    every += ["the sound of a.mov is not carried: no container"]
    for remedy in REMEDIES:
        assert any(re.search(remedy.pattern, text) for text in every), remedy.kind
        assert remedy.text[-1] == "." and remedy.text != OTHER
    assert len({remedy.kind for remedy in REMEDIES}) == len(REMEDIES)


def test_what_a_clip_is_warned_of(tmp_path):
    """The real function, on a clip with everything wrong."""
    frames = np.zeros((6, 40, 60, 3), np.uint8)
    frames[:3], frames[3:] = 10, 240
    masks = np.zeros((4, 6, 40, 60), np.uint8)
    masks[1, 2:, 20, 20] = 255  # small, not in all frames
    masks[2, :, :, :30] = 255  # at the border
    ok = np.zeros((2, 5, 40, 60), np.uint8)
    for name, array in ((FRAMES, frames), (MASKS, masks), (FLOW_OK, ok)):
        np.save(tmp_path / name, array)
    fact = {
        "kind": "object", "model": "similarity", "refused": {"homography": "bends"},
        "frames_carried": 5, "inlier_share": 0.2,
    }  # fmt: skip
    said = find_cautions(tmp_path, [fact, fact | {"kind": "background"}])
    assert len(said) >= 9
    texts = {remedy_for(text) for text in said}
    assert OTHER not in texts and len(texts) >= 8


def test_what_a_report_warns_of():
    said = cautions(
        {
            "psnr": 20.0,
            "psnr_without_residual": 12.0,
            "folded_by_layer": {"dog": 0.5, "cat": None},
            "alpha_iou": {"dog": 0.2},
        }
    )
    assert len({remedy_for(text) for text in said} - {OTHER}) == len(said) == 5


def test_an_unknown_caution_has_a_remedy_too():
    assert remedy_for("something that a newer version says") == OTHER
