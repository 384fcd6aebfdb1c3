"""tools/bench/bench.py --before: two states in turns, each by its own code, and a table of both."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from bench import bench
from bench.before import rows
from bench.before import run as before_run
from bench.before.rows import ROWS, Taken
from bench.before.trees import Tree, run, two_trees
from bench.parts.commands import Failed
from bench.parts.machine import ROOT
from bench.parts.measures import MOST_DB

SMALL = """
points: 300
texture_grid: {levels: 6, log2_table: 12}
residual_grid: {levels: 4, log2_table: 12}
alpha_grid: {levels: 4, log2_table: 12}
"""
HERE = Tree("before", ROOT, "one"), Tree("now", ROOT, "other")


def git(*words):
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)


@pytest.mark.skipif(git("rev-parse", "HEAD").returncode != 0, reason="no repository")
def test_each_state_is_run_by_its_own_code():
    says = "import json, nvd_core; print(json.dumps({'root': nvd_core.__file__}))"
    with two_trees("HEAD") as (before, now):
        assert before.root != now.root == ROOT and before.root.is_dir()
        for tree in (before, now):
            said = run(tree, [sys.executable, "-c", says])
            assert Path(said.result["root"]).parents[1] == tree.root
            assert said.cpu > 0 and said.seconds > 0
        listed = git("worktree", "list").stdout
        assert str(before.root) in listed
    assert not before.root.exists() and str(before.root) not in git("worktree", "list").stdout
    with pytest.raises(Failed, match="git rev-parse"), two_trees("no-such-revision"):
        pass


def test_what_fails_is_said():
    with pytest.raises(Failed, match="ended with 3"):
        run(HERE[0], [sys.executable, "-c", "raise SystemExit(3)"])


def test_the_best_of_each_and_how_many_times_as_good():
    def taken(*values, more=False):
        return [Taken(v, "s", v + 1, {"PSNR": 30 + v}, more) for v in values]

    best = {
        "before": before_run.best_of(taken(9.0, 8.0)),
        "now": before_run.best_of(taken(5.0, 4.0)),
    }
    assert best["before"] == Taken(8.0, "s", 9.0, {"PSNR": 38.0}, False)
    assert before_run.ratio(best) == 2.0
    more = {
        "before": before_run.best_of(taken(1.5, 1.2, more=True)),
        "now": before_run.best_of(taken(1.8, more=True)),
    }
    assert before_run.ratio(more) == pytest.approx(1.2)
    assert before_run.ratio({"now": best["now"]}) is None
    text = before_run.lines_of("baking", {"best": best, "failed": "", "ratio": 2.0})
    assert text.splitlines()[0].split() == ["baking", "8.00", "4.00", "s", "2.00", "times"]
    assert text.splitlines()[1].split() == ["by", "the", "clock", "9.00", "5.00"]
    only = {"best": {"now": best["now"]}, "failed": "before: no such command", "ratio": None}
    assert "FAILED: before: no such command" in before_run.lines_of("baking", only)


def test_rows_run_in_turns_and_one_that_fails_stops_no_other(monkeypatch):
    ran = []

    def row(_, tree):
        ran.append(tree.name)
        if len(ran) == 2:
            raise Failed("nothing")
        return Taken(1.0, "s")

    monkeypatch.setitem(ROWS, "edit", row)
    made = rows.Bench(None, *HERE, Path())
    found = before_run.in_turns(made, "edit", 2)
    assert ran == ["before", "now"] * 2 and found["failed"] == "now: nothing"
    assert found["ratio"] == 1.0


def test_the_rows_are_those_of_the_command_line():
    assert tuple(ROWS) == bench.ROWS


@pytest.mark.long
def test_all_rows_of_a_tiny_clip(tmp_path, tiny_clip, monkeypatch):
    tiny_clip.write(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.setattr(before_run, "two_trees", contextmanager(lambda _: iter([HERE])))
    clip = ["--clip", tmp_path / "frames", "--mask", f"disc={tmp_path / 'masks'}"]
    sizes = ["--lines", 48, "--height", 48, "--frames", 4, "--iterations", 12, "--turns", 1]
    words = ["--before", "HEAD", "--quick", *clip, *sizes, "--settings", tmp_path / "small.yaml"]
    words += ["--out", tmp_path / "b.json"]
    monkeypatch.setattr(sys, "argv", ["bench.py", *map(str, words)])
    arguments = bench.parsed()
    code = before_run.run(arguments)
    found = json.loads((tmp_path / "b.json").read_text())
    assert code == 0, {name: row["failed"] for name, row in found["rows"].items()}
    assert set(found["rows"]) == set(bench.ROWS) and found["before"] == "one"
    for name, row in found["rows"].items():
        assert set(row["best"]) == {"before", "now"} and row["ratio"] > 0
        assert row["best"]["now"]["unit"] == row["best"]["before"]["unit"], name
    quality = found["rows"]["baking"]["best"]["now"]["quality"]
    assert 0 <= quality["place off 99.9 %"] <= 0.05
    assert found["rows"]["edit"]["best"]["now"]["quality"]["edit"] > 5
    assert found["rows"]["disk"]["best"]["now"]["value"] > 0
    fine = found["rows"]["render-fine"]["best"]["before"]["quality"]
    assert fine["PSNR to the fine one before"] == MOST_DB
