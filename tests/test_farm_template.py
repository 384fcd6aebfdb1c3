"""The Open Job Description template, checked and run by the programs of its specification."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nvd_core.cli.main import main

pytest.importorskip("openjd.cli")
SETTINGS = """
iterations: 12
points: 200
texture_grid: {levels: 4, log2_table: 10}
residual_grid: {levels: 3, log2_table: 10}
alpha_grid: {levels: 3, log2_table: 10}
"""


def openjd(*words: object) -> list[str]:
    return [sys.executable, "-m", "openjd", *map(str, words)]


def write(path: Path, *more: str) -> dict:
    assert main(["farm", "template", "--out", str(path), *more, "--json"]) == 0
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    "more", [[], ["--mask", "actor"], ["--mask", "a", "--mask", "b", "--settings", "--movie"]]
)
def test_it_is_a_template(tmp_path, more):
    path = tmp_path / "shot.yaml"
    job = write(path, *more)
    done = subprocess.run(
        openjd("check", path, "--extensions", "TASK_CHUNKING"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    train = job["steps"][0]["script"]["actions"]["onRun"]["args"]
    assert train.count("--mask") == more.count("--mask")
    assert ("--preset" in train) != ("--settings" in train)
    assert job["steps"][-1]["name"] == ("Encode" if "--movie" in more else "Render")


def test_an_object_named_twice_is_refused(tmp_path, capsys):
    words = ["farm", "template", "--out", str(tmp_path / "x.yaml"), "--mask", "a", "--mask", "a"]
    assert main(words) == 2 and not (tmp_path / "x.yaml").exists()


@pytest.mark.long
def test_two_workers_make_what_one_machine_makes(tmp_path, tiny_clip):
    tiny_clip.write(tmp_path)
    (tmp_path / "small.yaml").write_text(SETTINGS)
    path, shot, alone = tmp_path / "job.yaml", tmp_path / "shot.nvd", tmp_path / "alone.nvd"
    write(path, "--mask", "disc", "--settings")
    given = {
        "Source": tmp_path / "frames",
        "Shot": shot,
        "Out": tmp_path / "out/%05d.png",
        "Frames": "0-7",
        "ChunkSize": 4,
        "Nvd": Path(sys.executable).with_name("nvd"),
        "Mask1": tmp_path / "masks",
        "Settings": tmp_path / "small.yaml",
    }
    parameters = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    common = [*parameters, "--extensions", "TASK_CHUNKING"]

    def start(step: str, *more: str) -> subprocess.Popen:
        return subprocess.Popen(
            openjd("run", path, "--step", step, *common, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ends(*processes: subprocess.Popen) -> None:
        for process in processes:
            said = process.communicate()[0]
            assert process.returncode == 0, said

    ends(start("Train"))
    for step in ("Bake", "Render"):
        ends(*(start(step, "-tp", f"Frames={chunk}") for chunk in ("0-3", "4-7")))
        if step == "Bake":
            ends(start("Fit"))
    masks = ["--mask", f"disc={tmp_path / 'masks'}", "--settings", str(tmp_path / "small.yaml")]
    assert main(["decompose", str(tmp_path / "frames"), "--out", str(alone), *masks]) == 0
    assert main(["render", str(alone), "--out", str(tmp_path / "one/%05d.png")]) == 0
    for part in ("maps", "textures", "edits"):
        names = sorted(p.name for p in (alone / part).iterdir())
        assert names == sorted(p.name for p in (shot / part).iterdir())
        assert all((alone / part / n).read_bytes() == (shot / part / n).read_bytes() for n in names)
    assert (alone / "manifest.json").read_bytes() == (shot / "manifest.json").read_bytes()
    for t in range(8):
        images = [(tmp_path / where / f"{t:05d}.png").read_bytes() for where in ("out", "one")]
        assert images[0] == images[1]
