"""The extension's probe, run by the engine's Python: what is missing is what this engine needs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nvd_core import PROTOCOL

PROBE = Path(__file__).resolve().parents[1] / "blender_addon" / "engine" / "probe.py"


def probe(packages: Path) -> tuple[int, dict]:
    """Exit code and last line of the probe with `packages` before all others."""
    words = [sys.executable, str(PROBE), str(PROTOCOL)]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("needs", "missing"),
    [
        (["numpy>=1.26", "torch"], None),
        (["numpy>=1.26", "no-such-library>=2"], "no-such-library"),
        (['no-such-library>=2; extra == "test"'], None),
    ],
)
def test_what_the_engine_says_it_needs_is_looked_for(tmp_path, needs, missing):
    folder = tmp_path / "nvd_core-9.9.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: nvd-core", "Version: 9.9"]
    lines += [f"Requires-Dist: {requirement}" for requirement in needs]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    code, said = probe(tmp_path)
    if missing is None:
        assert (code, said["event"]) == (0, "result")
    else:
        assert code == 2 and said["problem"] == f"the engine lacks {missing}"
