"""Settings: presets, YAML there and back, and clear words for what is wrong."""

import pytest
import yaml

from nvd_core.begun import check_same
from nvd_core.job import Job
from nvd_core.runtime.errors import NvdError
from nvd_core.settings import (
    PRESETS,
    load_settings,
    paper,
    save_settings,
    to_dict,
    update_settings,
)


@pytest.mark.parametrize("preset", PRESETS)
def test_saved_settings_come_back(preset, tmp_path):
    settings = PRESETS[preset]()
    settings.losses.rgb = 4.5
    save_settings(settings, tmp_path / "settings.yaml")
    assert load_settings(tmp_path / "settings.yaml") == settings


def test_a_file_changes_only_what_it_names(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("learning_rate_grid: 1e-3\nlosses: {flow: 0.5}\n")
    settings = load_settings(path, "paper")
    assert settings.learning_rate_grid == 1e-3 and settings.losses.flow == 0.5
    expected = paper()
    expected.learning_rate_grid, expected.losses.flow = 1e-3, 0.5
    assert settings == expected


@pytest.mark.parametrize("older", [[], ["windows", "maps", "early_stop"]])
def test_a_folder_s_list_from_before_stays_what_it_was(older, tmp_path):
    """As 93d8f80 wrote it, and some versions before that."""
    path, values = tmp_path / "settings.yaml", to_dict(PRESETS["fast"]())
    for name in ["share_by_error", "skip_settled", *older]:
        del values[name]
    path.write_text(yaml.safe_dump(values | {"points": 300}))
    expected = PRESETS["fast"]()
    expected.points, expected.share_by_error, expected.skip_settled = 300, 0.0, False
    assert load_settings(path) == expected
    del values["checkpoint_seconds"]  # so it is somebody's own
    path.write_text(yaml.safe_dump(values))
    assert load_settings(path) == PRESETS["fast"]()


def test_the_command_that_began_a_folder_of_before_goes_on_with_it(tmp_path):
    values = to_dict(PRESETS["fast"]())
    del values["share_by_error"], values["skip_settled"]
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(values))
    job = Job(source="/clip.mp4", masks=[["a", "/a.png"]], frames=None, seed=0)
    job.save(tmp_path)
    asked = PRESETS["fast"]()
    check_same(tmp_path, job, asked)
    asked.share_by_error = 0.7
    with pytest.raises(NvdError, match="another job") as refused:
        check_same(tmp_path, job, asked)
    assert refused.value.found == "share_by_error: 0.0 there, 0.7 asked for"


def test_an_empty_file_is_the_preset(tmp_path):
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert load_settings(path) == PRESETS["fast"]()


def test_paper_preset_is_as_published():
    values = to_dict(paper())
    assert values["iterations"] == 50_000 and values["points"] == 10_000
    assert values["mapping"]["mlp"] == {"layers": 4, "width": 256}
    assert values["mapping"]["grid"] is None
    grid = {"levels": 16, "features": 2, "log2_table": 15, "base": 16, "finest": 0}
    for name in ("texture", "residual", "alpha"):
        assert values[f"{name}_grid"] == grid
        assert values[f"{name}_mlp"] == {"layers": 4, "width": 64}
    assert (values["learning_rate_grid"], values["learning_rate_mlp"]) == (1e-2, 1e-4)
    losses = values["losses"]
    assert (losses["rgb"], losses["gradient"], losses["sparsity"]) == (5, 1, 1)
    assert (losses["flow"], losses["flow_alpha"], losses["mask_bootstrap"]) == (0.01, 0.05, 2)
    assert (losses["residual_consistency"], losses["residual_variance"]) == (0.1, 16)
    assert (losses["residual_one"], losses["alpha_binary"], losses["rigidity"]) == (0.5, 0.1, 0.001)
    assert values["residual_huber_delta"] == 0
    assert values["bootstrap_share"] * values["iterations"] == 10_000
    assert values["global_rigidity_share"] * values["iterations"] == 5_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("iteratons: 3", ["unknown setting iteratons", "iterations"]),
        ("losses: {fow: 1}", ["unknown setting losses.fow", "flow"]),
        ("points: many", ["points", "number", "'many'"]),
        ("points: 3.5", ["points", "a whole number", "3.5"]),
        ("skip_hidden: 1", ["skip_hidden", "true or false"]),
        ("schedule: sometimes", ["schedule", "linear or one-cycle or constant"]),
        ("mapping: {start: middle}", ["mapping.start", "motion or identity"]),
        ("losses: 3", ["losses", "name: value"]),
        ("- 1\n- 2", ["name: value"]),
        ("a: [", ["cannot read the settings"]),
        ("preset: slow", ["preset", "fast or fine or paper"]),
        ("points: !!python/object/apply:os.getcwd []", ["cannot read the settings"]),
    ],
)
def test_bad_settings_say_what_is_wrong(text, words, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(NvdError) as caught:
        load_settings(path)
    said = f"{caught.value} {caught.value.remedy}"
    assert all(word in said for word in words), said


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(NvdError, match="cannot read the settings"):
        load_settings(tmp_path / "none.yaml")


def test_a_grid_can_be_added_and_taken_away():
    settings = update_settings(PRESETS["fast"](), {"mapping": {"grid": None}})
    assert settings.mapping.grid is None
    settings = update_settings(settings, {"mapping": {"grid": {"levels": 3}}})
    assert settings.mapping.grid.levels == 3


def test_names_of_older_files_are_taken(tmp_path):
    (tmp_path / "old.yaml").write_text("residual_reach: 0.2\nlosses: {bootstrap: 3}\n")
    settings = load_settings(tmp_path / "old.yaml")
    assert settings.residual_huber_delta == 0.2 and settings.losses.mask_bootstrap == 3
