"""`--log`: what a command says, with the time, in a file beside the terminal."""

import re

import pytest

from nvd_core.cli.main import main

LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d .+")


@pytest.fixture
def shot(tmp_path, synthetic):
    return synthetic.make_shot(tmp_path / "shot.nvd").folder


def lines(path):
    found = path.read_text("utf-8").splitlines()
    assert all(LINE.fullmatch(line) for line in found), found
    return [line.split(" ", 2)[2] for line in found]


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_a_command_and_the_next(shot, tmp_path, json, capsys):
    log = tmp_path / "logs" / "render.log"
    words = ["render", str(shot), "--out", str(tmp_path / "out/%05d.png"), *json]
    assert main(words) == 0
    said = capsys.readouterr().out
    for _ in range(2):
        assert main([*words, "--again", "--log", str(log)]) == 0
    assert "seconds" in said and "seconds" in capsys.readouterr().out
    found = lines(log)
    half = len(found) // 2
    assert found[0].startswith("begins: nvd render ") and found[half] == found[0]
    assert "render: 0 of 3" in found[:half] and found[half - 1] == "ends with exit code 0"


def test_what_is_refused(tmp_path):
    log = tmp_path / "a.log"
    assert main(["info", str(tmp_path / "gone\x1b.nvd"), "--log", str(log)]) == 2
    found = lines(log)
    assert found[-2].startswith("error: ") and r"gone\x1b.nvd" in found[-2]
    assert "; what to do: " in found[-2] and found[-1] == "ends with exit code 2"


@pytest.mark.parametrize("what", ["a folder", "a movie"])
def test_what_is_no_log_is_left_as_it_is(shot, tmp_path, capsys, what):
    path = tmp_path / "clip.mp4"
    if what == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"\0\0\0\x20ftypisom" * 9)
    before = None if path.is_dir() else path.read_bytes()
    assert main(["info", str(shot), "--log", str(path)]) == 2
    assert f"the log {path} cannot be written" in capsys.readouterr().err
    assert path.is_dir() or path.read_bytes() == before
