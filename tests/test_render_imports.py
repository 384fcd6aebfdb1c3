"""Rendering does without torch, which takes longer to import than a few frames to render."""

import subprocess
import sys

import pytest

from nvd_core.runtime.devices import choose_kind

BEGIN = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "triton"):
            raise SystemExit(f"{name} was imported")

sys.meta_path.insert(0, Refused())
from nvd_core.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(choose_kind("auto") == "cuda", reason="rendered by the GPU here")
@pytest.mark.parametrize("words", [[], ["--mode", "full"], ["--layer", "dog"]])
def test_frames_on_the_cpu(tmp_path, synthetic, words):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    words = [shot.folder, "--out", tmp_path / "out" / "%05d.png", *words]
    command = [sys.executable, "-c", BEGIN, "render", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert any((tmp_path / "out").iterdir())
