"""Settings on their way into a training: by the command line, and at the edges of their ranges."""

from types import SimpleNamespace

import pytest
import torch

from nvd_core import pipeline
from nvd_core.cli.main import main
from nvd_core.job import Job
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.progress import Progress
from nvd_core.settings import Settings, as_draft, draft, fast, fine, to_dict, update_settings
from nvd_core.training.objective import Objective


@pytest.fixture
def asked(monkeypatch) -> list:
    """What the command hands to the pipeline."""
    calls = []
    monkeypatch.setattr(pipeline, "decompose", lambda *given, **_: calls.append(given) or {})
    return calls


def test_preset_then_file_then_set(asked, tmp_path, capsys):
    (tmp_path / "s.yaml").write_text("preset: fine\npoints: 700\nlosses: {flow: 0.5, rgb: 4}\n")
    words = ["--preset", "fine", "--settings", str(tmp_path / "s.yaml"), "--mask-margin", "3"]
    sets = ["--set", "losses.flow=0.02", "--set", "mapping.grid=null", "--set", "points=60"]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *words, *sets]) == 0
    expected = fine()
    expected.points, expected.mask_margin = 60, 3
    expected.losses.flow, expected.losses.rgb, expected.mapping.grid = 0.02, 4, None
    assert asked[0][2] == expected


@pytest.mark.parametrize(
    ("words", "windows"),
    [
        (["--windows", "3"], 3),
        (["--windows", "a=2", "--windows", "b=5"], {"a": 2, "b": 5}),
        (["--set", "windows=4"], 4),
        ([], "auto"),
        (["--windows", "auto"], "auto"),
        (["--windows", "a=auto", "--windows", "background=2"], {"a": "auto", "background": 2}),
        (["--set", "windows.a=4"], {"a": 4}),
    ],
)
def test_windows_by_object(asked, tmp_path, words, windows):
    masks = ["--mask", "a=m", "--mask", "b=m"]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *masks, *words]) == 0
    assert asked[0][2].windows == windows


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], False),
        (["--find-parts"], True),
        (["--find-parts-of", "a", "--find-parts-of", "b"], {"a": True, "b": True}),
        (["--set", "find_parts.b=true"], {"b": True}),
    ],
)
def test_parts_are_found_of_those_that_are_named(asked, tmp_path, words, wanted):
    masks = ["--mask", "a=m", "--mask", "b=m"]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *masks, *words]) == 0
    assert asked[0][2].find_parts == wanted


@pytest.mark.parametrize(
    ("by_file", "wanted"),
    [
        ("true", True),
        ("false", {"a": True}),
        ("{a: false, b: true}", {"a": True, "b": True}),
    ],
)
def test_parts_of_one_more_than_the_file_names(asked, tmp_path, by_file, wanted):
    (tmp_path / "s.yaml").write_text(f"find_parts: {by_file}\n")
    words = ["--settings", str(tmp_path / "s.yaml"), "--find-parts-of", "a", "--mask", "a=m"]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *words]) == 0
    assert asked[0][2].find_parts == wanted


@pytest.mark.parametrize("words", [["3", "a=2"], ["a=0"], ["a=99"], ["a="], ["a=x"], ["=-1"]])
def test_windows_that_are_none(asked, tmp_path, words, capsys):
    sets = [part for word in words for part in ("--windows", word)]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *sets]) == 2
    assert not asked and "windows" in capsys.readouterr().err


def test_a_draft_asks_less_of_the_same_networks():
    """Or the training could not go on from it."""
    for preset in (fast(), fine()):
        small, whole = to_dict(as_draft(preset)), to_dict(preset)
        differs = {name for name in whole if small[name] != whole[name]}
        assert differs == {"iterations", "points", "preview_seconds", "bake", "fit_every"}
    assert as_draft(update_settings(fast(), {"iterations": 20, "points": 50})).iterations == 20
    assert draft().flow_longest < fast().flow_longest


def test_set_alone(asked, tmp_path):
    words = ["--set", "iterations=5", "--seed", "7", "--height", "64"]
    assert main(["decompose", "clip", "--out", str(tmp_path / "x"), *words]) == 0
    assert asked[0][2].iterations == 5 and (asked[0][1].seed, asked[0][1].height) == (7, 64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"flow_method": "raft"}, "flow_path"),
        ({"flow_method": "files", "flow_path": "nowhere"}, "there is no nowhere"),
    ],
)
def test_flow_that_is_not_there_is_said_before_the_first_stage(change, words, tmp_path, synthetic):
    frames = synthetic.make_shot(tmp_path / "clip").folder / "frames"
    settings = fast()
    for name, value in change.items():
        setattr(settings, name, value)
    with pytest.raises(NvdError, match=words):
        pipeline.decompose(tmp_path / "out.nvd", Job(str(frames)), settings, Progress())
    assert not (tmp_path / "out.nvd").exists()


def test_a_layer_that_shows_nowhere_is_evaluated_somewhere():
    """A mean over no points is no number, and one such loss ends a training."""
    objective = Objective(SimpleNamespace(layers=2), Settings(points=16), 10, 0)
    points = SimpleNamespace(
        t=torch.zeros(16), masks=torch.zeros(16, 1), mask_weight=torch.ones(16, 1)
    )
    kept = objective._kept(points, torch.zeros(48, 2), 0, torch.full((16,), 0.5))
    assert len(kept) == 16


def test_every_share_leaves_points_that_are_drawn_uniformly():
    for points in range(16, 400):
        others = points - round(points * 0.95)
        assert others - int(others * 0.95) >= 1
    settings = Settings(points=16, share_in_masks=0.95, share_by_error=0.95)
    assert settings.share_in_masks == settings.share_by_error == 0.95
