"""What is refused, in which words: every message byte for byte as tests/snapshots has it.

    NVD_RENEW_SNAPSHOTS=1 .envs/engine/bin/python -m pytest tests/test_settings_refused.py

writes the snapshot anew; read the difference before it is committed.
"""

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from nvd_core.cli.main import main
from nvd_core.editing.camera_path import load_keys
from nvd_core.evaluation.reproduce.run_list import load_run_list
from nvd_core.fields.saved_model import load_texture_boxes
from nvd_core.job import MOST_HEIGHT, MOST_SEED, Job
from nvd_core.runtime.documents import Unreadable, parse_json, parse_yaml
from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import without_nan, write_json
from nvd_core.runtime.shown import shown
from nvd_core.settings import PRESETS, fast, load_settings, paper, set_settings, to_dict
from nvd_core.shot.manifest import read_manifest

SNAPSHOT = Path(__file__).parent / "snapshots" / "refused_settings.txt"
RENEW = bool(os.environ.get("NVD_RENEW_SNAPSHOTS"))

LAUGHS = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12)
)
DATED = "{points: &a [" + ", ".join(["2001-01-01"] * 99) + "], iterations: [*a, *a, *a, *a]}"

SETTINGS = {
    "a number for a grid": "mapping: {grid: 5}",
    "infinite iterations": "iterations: .inf",
    "a date for iterations": "iterations: 2001-99-99",
    "a real date for iterations": "iterations: 2001-09-09",
    "a time of day for points": "points: 1:40",
    "points that are no number": "points: .nan",
    "no points": "points: 0",
    "points beyond memory": "points: 1e99",
    "points in sixteen hundred bits": f"points: 0x{'f' * 390}",
    "half a point": "points: 99.5",
    "points that are true": "points: true",
    "points as a group": "points: {here: 3}",
    "nothing for points": "points:",
    "too many levels": "texture_grid: {levels: 99}",
    "a table beyond memory": "alpha_grid: {log2_table: 100}",
    "a name of a group at the top": "log2_table: 100",
    "a network of negative depth": "texture_mlp: {layers: -3}",
    "a group that is called otherwise": "mlp: {layers: -3}",
    "a network beyond memory": "alpha_mlp: {layers: 32, width: 4096}",
    "a grid beyond memory": "mapping: {grid: {levels: 32, base: 64, finest: 65536}}",
    "a finest level coarser than the coarsest": "texture_grid: {base: 64, finest: 32}",
    "negative cells": "residual_grid: {finest: -2}",
    "no base": "residual_grid: {base: 0}",
    "no features": "residual_grid: {features: 0}",
    "a negative rate": "learning_rate_grid: -1e-3",
    "a rate above one": "learning_rate_mlp: 2",
    "a rate that is no number": "learning_rate_motion: .nan",
    "a share of seven": "share_in_masks: 7",
    "a share that leaves nothing uniform": "share_in_masks: 1.0",
    "a negative share": "flow_share: -0.1",
    "a share above one": "bootstrap_share: 1.5",
    "a share of infinity": "global_rigidity_share: .inf",
    "a factor that is no number": "steps_factor: .nan",
    "a factor of nothing": "steps_factor: 0",
    "a negative weight": "losses: {rgb: -1}",
    "an infinite weight": "losses: {flow: .inf}",
    "no group of losses": "losses: null",
    "a list for the losses": "losses: [1, 2]",
    "patches every zeroth step": "consistency_every: 0",
    "no other time": "consistency_times: 0",
    "negative patches": "consistency_patches: -1",
    "no octave": "alpha_octaves: 0",
    "a negative margin": "mask_margin: -1",
    "negative seconds": "checkpoint_seconds: -1",
    "no texels": "texels_per_pixel: 0",
    "a scale of nothing": "mapping: {scale_object: 0}",
    "a schedule that is off": "schedule: off",
    "a number for yes or no": "fit_textures: 1",
    "an unknown word": "flow_method: dsi",
    "a number for a path": "flow_path: 3",
    "a path with a null in it": r'maskrcnn_weights: "a\0b"',
    "a method that needs a path": "flow_method: raft",
    "another method that needs a path": "flow_method: files",
    "a typing error": "iteratons: 3",
    "a typing error in a group": "losses: {fow: 1}",
    "a name like no other": "qqqqqq: 1",
    "a number for a name": "3: 4",
    "nothing for a name": "null: 4",
    "an endless name": f"{'n' * 5000}: 1",
    "an endless text": f"points: {'n' * 5000}",
    "an old name and the present one": "residual_reach: 0.1\nresidual_huber_delta: 0.1",
    "a list for the preset": "preset: [fast]",
    "an unknown preset": "preset: slow",
    "a list for the file": "- 1\n- 2",
    "a text for the file": "points",
    "a key twice": "points: 100\npoints: 200",
    "an empty whole number": 'points: !!int ""',
    "a tag for a time": "points: !!timestamp foo",
    "a tag for true": "skip_hidden: !!bool foo",
    "a tag for bytes": "flow_path: !!binary foo",
    "a tag for a set": "!!set {points}",
    "a tag of Python's": "points: !!python/object/apply:os.getcwd []",
    "a tag on a list": "points: !!str [1]",
    "a list for a name": "{[points]: 1}",
    "a tab": "losses:\n\trgb: 1",
    "an open list": "points: [",
    "three thousand lists": "[" * 3000,
    "three thousand dictionaries": "{a: " * 3000,
    "three thousand entries in each other": "- " * 3000,
    "a billion laughs": LAUGHS,
    "a billion merges": MERGES,
    "an alias for itself": "points: &a [*a]",
    "a merge with itself": "losses: &a {<<: *a}",
    "an unknown alias": "points: *a",
    "many dates by aliases": DATED,
    "half a surrogate pair": r'flow_path: "\ud800"',
    "a null": "points: \0",
    "an escape beyond Unicode": r'flow_path: "\UFFFFFFFF"',
    "a version of five thousand digits": f"%YAML {'9' * 5000}.1\n---\n",
    "sixty to the power of a hundred thousand": "points: 1" + ":1" * 100_000,
    "a number of three hundred thousand digits": "points: " + "1" * 300_000,
    "two documents": "points: 100\n---\npoints: 200",
    "more than a megabyte": "#" * (1 << 20) + "\n",
    "more values than anybody writes": "points: [" + "1," * 60_000 + "1]",
}

RAW = {
    "binary junk": bytes(range(256)) * 4,
    "another encoding": "points: 100".encode("utf-16"),
}

SETS = {
    "a typing error": "losses.fow=1",
    "a value out of range": "losses.flow=-1",
    "nothing": "points=",
    "a list that does not end": "points=[",
    "a number for a group": "losses=3",
    "a setting of a number": "losses.flow.x=2",
    "a preset": "preset=fine",
    "no name": ".=2",
    "a group of none": "mapping.grid.levels.deep=2",
}

LISTS = {
    "no clips": "seed: 3",
    "an unknown key": "clips: {a: {source: x}}\nvariant: {}",
    "an unknown key of a clip": "clips: {a: {source: x, hight: 3}}",
    "a name that leads out": "clips: {../a: {source: x}}",
    "a name that YAML takes for false": "clips: {no: {source: x}}",
    "two names that some systems fold": "clips: {a: {source: x}, A: {source: x}}",
    "a mask that is a number": "clips: {a: {source: x, masks: {dog: 3}}}",
    "frames that fall": "clips: {a: {source: x, frames: 9-3}}",
    "endless frames": f"clips: {{a: {{source: x, frames: 0-{'9' * 5000}}}}}",
    "an absurd height": "clips: {a: {source: x, height: 99999999}}",
    "a negative seed": "clips: {a: {source: x}}\nseed: -1",
    "an endless seed": "clips: {a: {source: x}}\nseed: 99999999999999999999999",
    "a variant out of range": "clips: {a: {source: x}}\nvariants: {b: {points: 0}}",
    "a variant that is a number": "clips: {a: {source: x}}\nvariants: {b: 3}",
    "a billion laughs": LAUGHS,
    "a list of lists": "[" * 3000,
}

KEYS = {
    "a billion laughs": LAUGHS,
    "no frame": "keys: [{scale: 2}]",
    "a frame beyond": "keys: [{frame: 99}]",
    "an infinite place": "keys: [{frame: 0, x: .inf}]",
    "a date for a place": "keys: [{frame: 0, y: 2001-01-01}]",
    "no scale": "keys: [{frame: 0, scale: 0}]",
    "many keys by aliases": "keys: [" + "{frame: 0}, " * 9 + "&a [1, 2, 3], *a, *a, *a, *a]",
}

JOB = {"schema": "nvd.job", "version": 1, "source": "/clip.mp4"}
MASK = "/masks/dog"
JOBS = {
    "no JSON": "{",
    "a list": "[1]",
    "ninety thousand lists": "[" * 90_000,
    "another schema": json.dumps(JOB | {"schema": "other"}),
    "a later version": json.dumps(JOB | {"version": 2}),
    "a version that is true": json.dumps(JOB | {"version": "1"}),
    "an unknown key": json.dumps(JOB | {"sauce": 1}),
    "no source": json.dumps({"schema": "nvd.job", "version": 1}),
    "an empty source": json.dumps(JOB | {"source": ""}),
    "a number for a source": json.dumps(JOB | {"source": 3}),
    "a source with half a surrogate pair": json.dumps(JOB | {"source": "\ud800"}),
    "a mask without a source": json.dumps(JOB | {"masks": [["dog"]]}),
    "a mask that is a text": json.dumps(JOB | {"masks": ["ab"]}),
    "a name that leads out": json.dumps(JOB | {"masks": [["../dog", MASK]]}),
    "a name with a separator of Windows": json.dumps(JOB | {"masks": [["a\\b", MASK]]}),
    "an empty name": json.dumps(JOB | {"masks": [["", MASK]]}),
    "an object called background": json.dumps(JOB | {"masks": [["Background", MASK]]}),
    "two objects of one name": json.dumps(JOB | {"masks": [["dog", MASK], ["Dog", MASK]]}),
    "one frame number": json.dumps(JOB | {"frames": [3]}),
    "frames that fall": json.dumps(JOB | {"frames": [9, 3]}),
    "a frame of a half": json.dumps(JOB | {"frames": [0.5, 3]}),
    "a height of nothing": json.dumps(JOB | {"height": 0}),
    "an absurd height": json.dumps(JOB | {"height": 10**9}),
    "an unknown device": json.dumps(JOB | {"device": "tpu"}),
    "a negative seed": json.dumps(JOB | {"seed": -1}),
    "an endless seed": json.dumps(JOB | {"seed": 10**23}),
    "a seed of five thousand digits": json.dumps(JOB)[:-1] + f', "seed": {"9" * 5000}}}',
    "a seed that is no number": json.dumps(JOB)[:-1] + ', "seed": NaN}',
    "a seed that is true": json.dumps(JOB | {"seed": True}),
    "an unknown stage": json.dumps(JOB | {"done": ["frames", "dinner"]}),
    "a stage twice": json.dumps(JOB | {"done": ["frames", "frames"]}),
    "a key twice": json.dumps(JOB)[:-1] + ', "source": "/other.mp4"}',
}

ARGUMENTS = {
    "a negative seed": ["--seed", "-1"],
    "an endless seed": ["--seed", "99999999999999999999999"],
    "a seed in words": ["--seed", "many"],
    "a negative height": ["--height", "-5"],
    "an absurd height": ["--height", "99999999"],
    "a height of five thousand digits": ["--height", "9" * 5000],
    "endless frames": ["--frames", f"0-{'9' * 5000}"],
    "a set without a value": ["--set", "points"],
    "a set out of range": ["--set", "share_in_masks=1"],
    "the last of two sets": ["--set", "points=100", "--set", "points=0"],
    "a margin beyond any picture": ["--mask-margin", "1e9"],
    "a preset beside a file of another": ["--preset", "fine", "--settings", "paper.yaml"],
    "a folder for the settings": ["--settings", "."],
    "no such settings": ["--settings", "none.yaml"],
}


def words(error: NvdError, folder: Path) -> str:
    text = (
        f"  {error.problem}\n  expected: {error.expected}\n  found: {error.found}\n"
        f"  what to do: {error.remedy}\n"
    )
    return text.replace(str(folder), "FOLDER")


def refused(task, folder: Path) -> str:
    with pytest.raises(NvdError) as caught:
        task()
    assert len(caught.value.found) <= 260 and caught.value.remedy
    return words(caught.value, folder)


def cases(folder: Path):
    """(title, what is to be refused): all of them."""

    def written(name: str, content: str | bytes) -> Path:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    for title, text in (SETTINGS | RAW).items():
        yield f"settings: {title}", lambda t=text: load_settings(written("s.yaml", t))
    for title, word in SETS.items():
        yield f"--set: {title}", lambda w=word: set_settings(fast(), [w])
    for title, text in LISTS.items():
        yield f"list: {title}", lambda t=text: load_run_list(written("list.yaml", t))
    for title, text in KEYS.items():
        yield f"keys: {title}", lambda t=text: load_keys(written("keys.yaml", t), 10)
    for title, text in JOBS.items():
        yield (
            f"job: {title}",
            lambda t=text: written("job/job.json", t) and Job.load(folder / "job"),
        )
    for title, text in {"ninety thousand lists": "[" * 90_000, "NaN": '{"a": NaN}'}.items():
        yield (
            f"manifest: {title}",
            lambda t=text: written("shot/manifest.json", t) and read_manifest(folder / "shot"),
        )
    facts = {"version": "2", "clip": {"frames": 2, "height": 8, "width": 8}, "layers": []}
    layer = {"name": "dog", "pixels_per_unit": 1.0, "projective": True}
    for title, change in {
        "frames beyond memory": {"clip": facts["clip"] | {"frames": 10**12}},
        "a mask beyond memory": {"layers": [layer | {"deformation_mask": 10**9}]},
        "a name that leads out": {"layers": [layer | {"name": "../dog"}]},
    }.items():
        text = json.dumps(facts | change)
        yield (
            f"networks: {title}",
            lambda t=text: written("net/checkpoint.json", t) and load_texture_boxes(folder / "net"),
        )
    yield "a NaN for JSON", lambda: write_json(folder / "x.json", {"psnr": float("nan")})
    yield "a name for JSON that is not Unicode", lambda: write_json(folder / "x.json", "\udcff")


TITLES = [title for title, _ in cases(Path("nowhere"))]


def parsed_snapshot() -> dict[str, str]:
    blocks = SNAPSHOT.read_text("utf-8").split("== ")[1:]
    return {title: text for title, _, text in (block.partition("\n") for block in blocks)}


def test_the_snapshot_is_whole(tmp_path, capsys, monkeypatch):
    if RENEW:
        blocks = {title: refused(task, tmp_path) for title, task in cases(tmp_path)}
        for title, arguments in ARGUMENTS.items():
            blocks[f"nvd: {title}"] = said_by_nvd(arguments, tmp_path, capsys, monkeypatch)
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text("".join(f"== {t}\n{b}" for t, b in blocks.items()), "utf-8")
    assert list(parsed_snapshot()) == TITLES + [f"nvd: {title}" for title in ARGUMENTS]


@pytest.mark.parametrize("title", TITLES)
def test_it_is_refused_in_these_words(title, tmp_path):
    begun = time.process_time()
    assert refused(dict(cases(tmp_path))[title], tmp_path) == parsed_snapshot()[title]
    assert time.process_time() - begun < 10


def said_by_nvd(arguments: list[str], folder: Path, capsys, monkeypatch) -> str:
    """What `nvd decompose` says, called in `folder`; nothing is written there."""
    monkeypatch.chdir(folder)
    Path("paper.yaml").write_text("preset: paper\n")
    before = sorted(folder.iterdir())
    assert main(["decompose", "clip", "--out", "shot.nvd", *arguments]) == 2
    assert sorted(folder.iterdir()) == before
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    return "".join(f"  {line}\n" for line in lines).replace(str(folder), "FOLDER")


@pytest.mark.parametrize("title", ARGUMENTS)
def test_the_command_refuses_it_before_a_folder_is_made(title, tmp_path, capsys, monkeypatch):
    said = said_by_nvd(ARGUMENTS[title], tmp_path, capsys, monkeypatch)
    assert said == parsed_snapshot()[f"nvd: {title}"]


class TestBounded:
    @pytest.mark.parametrize("text", [LAUGHS, MERGES, "[" * 100_000, "{a: " * 100_000])
    def test_little_memory_is_taken(self, text):
        tracemalloc.start()
        try:
            with pytest.raises(Unreadable):
                parse_yaml(text)
            assert tracemalloc.get_traced_memory()[1] < 64 << 20
        finally:
            tracemalloc.stop()

    def test_a_value_is_cut_before_it_is_text(self):
        value: list = ["lol"] * 9
        for _ in range(30):
            value = [value] * 9  # 9^31 texts
        assert len(shown(value)) == 80
        value.append(value)
        assert len(shown({"a": value})) == 80
        assert shown(10**5000).startswith("a whole number of")
        assert shown("x" * 10**6, 20) == "'" + "x" * 16 + "..."

    def test_what_is_shown(self):
        assert (
            shown({"a": [1, None, True, "b\n"], 3: 0.5}) == "{a: [1, null, true, 'b\\n'], 3: 0.5}"
        )
        assert shown("\ud800") == "'\\ud800'" and shown(object()) == "object"

    @pytest.mark.parametrize("text", ["1e999", "NaN", "[Infinity]", "-Infinity"])
    def test_json_has_finite_numbers(self, text):
        with pytest.raises(Unreadable, match="finite"):
            parse_json(text)

    def test_what_yaml_1_1_takes_otherwise(self):
        text = "[1e-2, 2001-01-01, 1:30, on, 0x10, 1_000, .5, ~]"
        assert parse_yaml(text) == ["1e-2", "2001-01-01", "1:30", True, 16, 1000, 0.5, None]


class TestTaken:
    def test_numbers_as_people_write_them(self, tmp_path):
        (tmp_path / "s.yaml").write_text(
            "\ufefflearning_rate_grid: 1e-2\npoints: 3e2\niterations: '40'\nlosses: {rgb: 4}\n"
            "mixed_precision: off\nskip_hidden: no\nmapping: {grid: null}\n"
        )
        settings = load_settings(tmp_path / "s.yaml")
        assert (settings.learning_rate_grid, settings.points) == (0.01, 300)
        assert (settings.iterations, settings.losses.rgb) == (40, 4.0)
        assert type(settings.points) is int and type(settings.losses.rgb) is float
        assert (settings.mixed_precision, settings.skip_hidden) == ("off", False)
        assert settings.mapping.grid is None

    def test_set_comes_after_preset_and_file_and_the_last_one_holds(self):
        words = ["losses.flow=0.5", "points=100", "points=200", "mapping.grid.levels=3"]
        settings = set_settings(paper(), ["losses.rgb=2", *words, "mixed_precision=on"])
        assert (settings.losses.rgb, settings.losses.flow, settings.points) == (2, 0.5, 200)
        assert settings.mapping.grid.levels == 3 and settings.mixed_precision == "on"
        assert settings.preset == "paper" and settings.iterations == 50_000

    def test_sets_that_fit_each_other_only_together(self):
        words = ["texture_grid.finest=32", "texture_grid.base=32"]
        assert set_settings(fast(), words).texture_grid.base == 32
        words = ["alpha_grid.base=512", "alpha_grid.finest=600"]
        assert set_settings(fast(), words).alpha_grid.finest == 600

    def test_the_files_own_preset_may_be_said_again(self, tmp_path):
        (tmp_path / "s.yaml").write_text("preset: paper\n")
        assert load_settings(tmp_path / "s.yaml", "paper") == paper()
        assert load_settings(tmp_path / "s.yaml") == paper()

    def test_a_merge_is_taken(self):
        text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}"
        assert parse_yaml(text)["b"] == {"x": 1, "y": 3}

    def test_a_field_is_checked_when_it_is_set(self):
        settings = fast()
        settings.points, settings.losses.rgb = 60, 3
        with pytest.raises(NvdError, match=r"levels .*from 1 to 32; found 99"):
            settings.texture_grid.levels = 99
        with pytest.raises(NvdError, match="share_in_masks"):
            settings.share_in_masks = float("nan")
        with pytest.raises(AttributeError):
            settings.iteratons = 3
        assert settings.texture_grid.levels == 12 and settings.points == 60

    def test_a_job_of_version_1(self, tmp_path):
        job = JOB | {"masks": [["dog", MASK], ["cat", "maskrcnn:cat"]], "frames": [3, 9]}
        job |= {"height": None, "device": "auto", "seed": 7, "done": ["frames", "flow"]}
        (tmp_path / "job.json").write_text(json.dumps(job))
        loaded = Job.load(tmp_path)
        assert loaded.masks == job["masks"] and loaded.frames == [3, 9] and loaded.seed == 7
        loaded.save(tmp_path)
        saved = json.loads((tmp_path / "job.json").read_text())
        assert {key: saved[key] for key in job} == job
        added = {key: value for key, value in saved.items() if key not in job}
        assert added.pop("missing") == "error" and not any(added.values())  # as it was before

    def test_all_settings_of_version_0_1_0(self, tmp_path):
        import yaml

        for preset in PRESETS:
            values = to_dict(PRESETS[preset]())
            values["residual_reach"] = values.pop("residual_huber_delta")
            values["losses"]["bootstrap"] = values["losses"].pop("mask_bootstrap")
            (tmp_path / "old.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
            assert load_settings(tmp_path / "old.yaml") == PRESETS[preset]()

    def test_what_is_undefined_is_null(self):
        value = {"psnr": float("nan"), "rows": [(1.0, float("inf"))], "n": 3}
        assert without_nan(value) == {"psnr": None, "rows": [[1.0, None]], "n": 3}

    def test_the_commands_bounds_are_the_jobs(self, capsys, tmp_path):
        (tmp_path / "clip").mkdir()
        most = ["--seed", str(MOST_SEED), "--height", str(MOST_HEIGHT)]
        assert main(["decompose", str(tmp_path / "clip"), "--out", "x.nvd", *most]) == 2
        said = capsys.readouterr().err
        assert "clip" in said and "seed" not in said and "height" not in said
