"""`nvd reproduce`: two clips, two variants, one bad clip, interruption, and the report's parts."""

import json
import shutil
import xml.etree.ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nvd_core.cli.main import main
from nvd_core.evaluation.plots import bars, lines
from nvd_core.evaluation.reproduce import run as module
from nvd_core.evaluation.reproduce.published import published_rows, rows_of
from nvd_core.evaluation.reproduce.report import figure
from nvd_core.evaluation.reproduce.run import reproduce
from nvd_core.evaluation.reproduce.run_list import load_run_list
from nvd_core.media.images import read_image
from nvd_core.runtime.errors import Cancelled, NvdError
from nvd_core.runtime.progress import Progress

pytestmark = pytest.mark.slow

LIST = """
clips:
  bear: {source: one/frames, masks: {disc: one/masks}, frames: 0-5}
  gone: {source: nowhere/frames}
  tiny: {source: two/frames, masks: {disc: two/masks}}
variants:
  ours: &small
    iterations: 40
    points: 400
    texture_grid: {levels: 6, log2_table: 12}
    residual_grid: {levels: 4, log2_table: 12}
    alpha_grid: {levels: 4, log2_table: 12}
  additive: {<<: *small, residual: additive}
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    tiny_clip.write(folder / "one")
    tiny_clip.write(folder / "two", light=False)
    (folder / "list.yaml").write_text(LIST)
    return folder


@pytest.fixture(scope="module")
def done(inputs, tmp_path_factory) -> Path:
    """The report of the whole list, made from the command line."""
    out = tmp_path_factory.mktemp("out") / "runs"
    assert main(["reproduce", str(inputs / "list.yaml"), "--out", str(out), "--json"]) == 0
    return out


class Page(HTMLParser):
    """The rows of all tables of a page, and its pictures; fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.rows, self.pictures, self.words = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.pictures.append(dict(attributes)["src"])
        if tag in ("img", "meta", "br"):
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


class TestRuns:
    def test_a_bad_clip_does_not_keep_the_others(self, done):
        report = json.loads((done / "report.json").read_text())
        states = {(run["clip"], run["variant"]): run["state"] for run in report["runs"]}
        assert states == {
            (clip, variant): "failed" if clip == "gone" else "done"
            for clip in ("bear", "gone", "tiny")
            for variant in ("ours", "additive")
        }
        failed = next(run for run in report["runs"] if run["clip"] == "gone")
        assert "nowhere" in failed["problem"]["problem"] and failed["problem"]["remedy"]

    def test_runs_are_what_decompose_and_evaluate_make(self, done):
        for run in json.loads((done / "report.json").read_text())["runs"]:
            if run["state"] == "done":
                folder = done / run["clip"] / f"{run['variant']}.nvd"
                assert run["report"] == json.loads((folder / "report/report.json").read_text())
                assert run["curve"][-1][0] == 40 and len(run["curve"]) > 10
                assert run["size"] == "80x48" and run["seconds"] > 0
        settings = (done / "bear" / "additive.nvd" / "settings.yaml").read_text()
        assert "residual: additive" in settings

    def test_a_finished_run_is_not_repeated(self, done, inputs, monkeypatch):
        def must_not_run(*_):
            raise AssertionError("a finished run was repeated")

        before = (done / "bear" / "ours.json").read_bytes()
        monkeypatch.setattr(module, "resume", must_not_run)
        monkeypatch.setattr(module, "evaluate", must_not_run)
        result = reproduce(inputs / "list.yaml", done)
        assert (result["runs"], result["done"]) == (6, 4)
        assert result["failed"] == ["gone/ours", "gone/additive"]
        assert (done / "bear" / "ours.json").read_bytes() == before

    def test_a_changed_list_does_not_touch_what_is_done(self, done, inputs, tmp_path):
        before = (done / "bear" / "ours.json").read_bytes()
        changed = inputs / "changed.yaml"
        changed.write_text(LIST.replace("points: 400", "points: 300"))
        shutil.copytree(done, tmp_path / "copy")
        result = reproduce(changed, tmp_path / "copy")
        assert len(result["failed"]) == 6
        assert (tmp_path / "copy" / "bear" / "ours.json").read_bytes() == before
        assert "settings.points" in (tmp_path / "copy" / "report.html").read_text()

    def test_an_interrupted_run_goes_on(self, done, inputs, tmp_path):
        class StopAt(Progress):
            def update(self, done, **values):
                if self._stage == "bear ours: training" and done >= 15:
                    self.cancel()
                super().update(done, **values)

        with pytest.raises(Cancelled):
            reproduce(inputs / "list.yaml", tmp_path, StopAt())
        record = json.loads((tmp_path / "bear" / "ours.json").read_text())
        assert record["state"] == "interrupted" and record["curve"][-1][0] == 15
        reproduce(inputs / "list.yaml", tmp_path)
        runs = [json.loads((f / "bear" / "ours.json").read_text()) for f in (done, tmp_path)]
        assert runs[0]["report"] == runs[1]["report"]
        assert [step for step, _ in runs[1]["curve"]] == [step for step, _ in runs[0]["curve"]]

    def test_a_fault_of_the_program_is_one_failed_run(self, inputs, tmp_path, monkeypatch):
        measure = module.evaluate

        def breaks(shot, progress):
            if shot.folder.parent.name == "bear":
                raise ZeroDivisionError("no reason")
            return measure(shot, progress)

        monkeypatch.setattr(module, "evaluate", breaks)
        result = reproduce(inputs / "list.yaml", tmp_path)
        assert "bear/ours" in result["failed"] and "tiny/ours" not in result["failed"]
        record = json.loads((tmp_path / "bear" / "ours.json").read_text())
        assert "ZeroDivisionError: no reason" in record["problem"]["problem"]
        assert "in breaks" in record["problem"]["traceback"]
        monkeypatch.undo()
        assert "bear/ours" not in reproduce(inputs / "list.yaml", tmp_path)["failed"]


class TestAgainst:
    """What a list gives to measure with: tracks, a truth, weights."""

    @pytest.fixture
    def listed(self, inputs):
        def write(entries: str, name: str = "against.yaml") -> Path:
            text = LIST.split("clips:")[1].split("variants:")[1].replace("  additive", "#")
            clip = "clips: {tiny: {source: two/frames, masks: {disc: two/masks}, %s}}"
            (inputs / name).write_text(f"{clip % entries}\nvariants:{text}")
            return inputs / name

        return write

    def test_tracks_of_a_finished_run_are_only_measured(self, done, inputs, listed, tmp_path):
        shutil.copytree(done / "tiny", tmp_path / "tiny")
        before = json.loads((tmp_path / "tiny/ours.json").read_text())
        checkpoint = tmp_path / "tiny/ours.nvd/checkpoint.safetensors"
        written = checkpoint.stat().st_mtime_ns
        points = np.full((1, 8, 2), 20.0)
        np.savez(inputs / "still.npz", points=points, occluded=np.zeros((1, 8), bool))
        path = listed("tracks: still.npz")
        assert reproduce(path, tmp_path)["failed"] == []
        after = json.loads((tmp_path / "tiny/ours.json").read_text())
        assert "tracks" not in before["report"] and checkpoint.stat().st_mtime_ns == written
        assert after["report"]["tracks"]["all"]["points"] == 1
        shown = Page((tmp_path / "report.html").read_text()).rows
        assert f"{after['report']['tracks']['all']['delta_avg']:.2f}" in shown[1]
        stamp = (tmp_path / "tiny/ours.json").stat().st_mtime_ns
        reproduce(path, tmp_path)
        assert (tmp_path / "tiny/ours.json").stat().st_mtime_ns == stamp

    def test_what_is_not_there_is_said_before_the_training(self, listed, tmp_path):
        reproduce(listed("truth: nowhere"), tmp_path)
        record = json.loads((tmp_path / "tiny/ours.json").read_text())
        assert record["state"] == "failed" and "nowhere" in record["problem"]["problem"]
        assert not (tmp_path / "tiny/ours.nvd").exists()

    def test_paths_are_relative_to_the_list(self, inputs, listed):
        path = listed("truth: a, tracks: b.npz")
        path.write_text(path.read_text() + "lpips: c.pth\n")
        (run,) = load_run_list(path)
        assert run.against == {
            "truth": inputs / "a", "tracks": inputs / "b.npz", "lpips": inputs / "c.pth",
        }  # fmt: skip

    def test_a_truths_figures_are_shown(self):
        report = {"truth": {"edit_psnr": 25.5, "tracks": {"all": {"AJ": 0.5, "OA": 0.9}}}}
        assert figure(report, "edit_psnr") == 25.5 and figure(report, "AJ") == 0.5
        assert figure(report | {"tracks": {"all": {"AJ": 0.7}}}, "AJ") == 0.7
        assert figure({}, "edit_psnr") is None and figure({}, "OA") is None


class TestReport:
    def test_ours_stand_beside_the_published_rows(self, done):
        page = Page((done / "report.html").read_text())
        by_name = {}
        for row in page.rows:
            by_name.setdefault(row[0], []).append(row)
        report = json.loads((done / "report.json").read_text())
        figures = {run["clip"]: run["report"] for run in report["runs"] if run["variant"] == "ours"}
        assert [row[1] for row in by_name["ours"]][1:] == [
            f"{figures[clip]['psnr']:.2f}" for clip in ("bear", "tiny")
        ]
        mean = (figures["bear"]["psnr"] + figures["tiny"]["psnr"]) / 2
        assert by_name["ours"][0][1] == f"{mean:.2f}"
        table_1 = by_name["the paper (table 1)"]
        assert [(row[1], row[-2], row[-1]) for row in table_1] == [
            ("27.50", "768x432", "40"), ("26.90", "1920x1080", "40"),
        ]  # fmt: skip
        assert by_name["Layered Neural Atlases (table 2)"][0][1] == "27.30"
        assert {"Deformable Sprites (table 1)", "Deformable Sprites (table 2)"} <= by_name.keys()

    def test_variants_say_what_they_change(self, done):
        words = "".join(Page((done / "report.html").read_text()).words)
        assert "additive: preset fast, iterations: 40" in words and "residual: additive" in words

    def test_failures_say_their_reason(self, done):
        words = " ".join(Page((done / "report.html").read_text()).words)
        assert "nowhere" in words and "What to do" in words and "2 failed" in words

    def test_pictures_are_there(self, done):
        sources = Page((done / "report.html").read_text()).pictures
        assert len(sources) == 4
        for source in sources:
            assert read_image(done / source).std() > 10

    def test_plots_are_whole_and_show_every_run(self, done):
        text = (done / "report.html").read_text()
        plots = [f"<svg{part.split('</svg>')[0]}</svg>" for part in text.split("<svg")[1:]]
        assert len(plots) == 6
        for plot in plots:
            words = " ".join(xml.etree.ElementTree.fromstring(plot).itertext())
            assert "ours" in words and "additive" in words
        assert "<script" not in text

    def test_a_report_stands_after_every_run(self, inputs, tmp_path):
        class StopAtSecond(Progress):
            def stage(self, name, total, done=0):
                if name.startswith("bear additive"):
                    self.cancel()
                super().stage(name, total, done)

        with pytest.raises(Cancelled):
            reproduce(inputs / "list.yaml", tmp_path, StopAtSecond())
        words = " ".join(Page((tmp_path / "report.html").read_text()).words)
        assert "1 runs done, 0 failed, 5 to come" in words


class TestPlots:
    def test_bars_are_as_long_as_their_values(self):
        root = xml.etree.ElementTree.fromstring(bars([("a", 30, True), ("b & c", 15, False)], "dB"))
        widths = [float(r.get("width")) for r in root.iter("{http://www.w3.org/2000/svg}rect")]
        assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
        assert "b & c" in "".join(root.itertext())
        assert bars([], "dB") == ""

    def test_lines_reach_the_corners(self):
        root = xml.etree.ElementTree.fromstring(lines({"x": [(0, 1), (5, 3), (10, 2)]}, "s", "v"))
        line = root.find("{http://www.w3.org/2000/svg}polyline").get("points").split()
        (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in line)
        assert x1 - x0 == pytest.approx(x2 - x1) and y1 < y2 < y0
        assert lines({"x": [(0, 1)]}, "s", "v") == ""


class TestPublished:
    def test_rows_are_found_by_any_spelling(self):
        assert {row.table for row in rows_of("Kite_Surf")} == {2, 3}
        assert rows_of("tumbler") == []

    def test_figures_of_the_tables(self):
        rows = {(r.table, r.method, r.size, r.clip): r for r in published_rows()}
        assert rows[1, "the paper", "768x432", "disco-ball"].figures == {"psnr": 37.7}
        assert rows[1, "the paper", "1920x1080", "hike"].fps == 71
        assert rows[2, "the paper", None, "car-turn"].figures == {
            "psnr": 29.5, "lpips": 0.23, "ssim": 0.91,
        }  # fmt: skip
        assert rows[3, "the paper", None, "black-swan"].figures["OA"] == 1.0


class TestList:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("clips: [", "YAML"),
            ("clips: {}", "clips"),
            ("clips: {a: {source: x}}\nmore: 1", "only clips"),
            ("clips: {../a: {source: x}}", "letters, digits"),
            ("clips: {a: {source: x}, A: {source: x}}", "upper and lower"),
            ("clips: {a: {}}", "clips.a with a source"),
            ("clips: {a: {source: x, size: 3}}", "clips.a with a source"),
            ("clips: {a: {source: x, masks: [1]}}", "clips.a.masks"),
            ("clips: {a: {source: x, frames: 5-5}}", "clips.a.frames"),
            ("clips: {a: {source: x, height: tall}}", "clips.a.height"),
            ("clips: {a: {source: x, truth: 3}}", "clips.a.truth as a path"),
            ("clips: {a: {source: x}}\nlpips: [x]", "lpips as a path"),
            ("clips: {a: {source: x}}\nseed: -1", "seed"),
            ("clips: {a: {source: x}}\ndevice: tpu", "device"),
            ("clips: {a: {source: x}}\nvariants: {b: {residul: none}}", "unknown setting residul"),
            ("clips: {a: {source: x}}\nvariants: {b: 3}", "variants.b"),
        ],
    )
    def test_bad_lists_say_what_is_wrong(self, text, words, tmp_path):
        (tmp_path / "list.yaml").write_text(text)
        with pytest.raises(NvdError) as caught:
            load_run_list(tmp_path / "list.yaml")
        assert words in str(caught.value)

    def test_the_sample_list_can_be_used(self):
        runs = load_run_list(Path(__file__).parents[1] / "samples" / "reproduce.yaml")
        variants = {run.variant: run.settings for run in runs}
        assert variants["layered-neural-atlases"].encoding == "positional"
        assert variants["layered-neural-atlases"].mapping.start == "identity"
        assert Path(runs[0].job.source).is_dir() and Path(runs[0].job.masks[0][1]).is_dir()
