"""A stop is answered within two seconds, whatever the program is at: real processes."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nvd_core.runtime.errors import Cancelled
from nvd_core.runtime.progress import Progress

ROOT = Path(__file__).parents[1]
PROMISED = 2.0
"""seconds"""

# A command that never asks whether it is to stop: in Python, in a long call of a library, or as
# nobody reads what it prints
BUSY = """
    import sys, time
    import nvd_core.cli.main as cli
    from nvd_core.cli import report

    def busy(parsed, progress):
        progress.stage("busy", 2)
        how = sys.argv[1]
        if how == "python":
            while True:
                pass
        if how == "library":
            import numpy as np
            matrix = np.random.default_rng(0).random((3000, 3000))
            while True:
                np.linalg.svd(matrix)
        if how == "pipe":
            while True:
                progress.message("x" * 4000)
        if how == "asleep":
            time.sleep(600)
        if how == "saving":
            with progress.unsaved():
                time.sleep(2.5)
                progress.update(1)

    report._info = busy
    sys.argv[0] = "nvd"
    sys.exit(cli.main(["info", "nowhere", "--json", *sys.argv[2:]]))
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals"),
]


def busy(how: str, *words: str) -> subprocess.Popen:
    """A process that has begun its one stage."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(BUSY), how, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert json.loads(process.stdout.readline())["stage"] == "busy"
    time.sleep(0.5)
    return process


def ended(process: subprocess.Popen) -> tuple[float, int]:
    """How long it takes to end from now on, and its exit code."""
    began = time.monotonic()
    code = process.wait(timeout=30)
    return time.monotonic() - began, code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("how", ["python", "library", "pipe", "asleep"])
def test_what_does_not_ask_is_ended(how, number):
    process = busy(how)
    process.send_signal(number)
    seconds, code = ended(process)
    assert code == 130 and seconds < PROMISED
    if how != "pipe":
        assert json.loads(process.stdout.read().splitlines()[-1])["event"] == "cancelled"
    assert not process.stderr.read()


def test_a_second_interrupt_ends_it_at_once():
    process = busy("saving")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    seconds, code = ended(process)
    assert code == 130 and seconds < 1


def test_what_must_be_saved_is_waited_for():
    process = busy("saving")
    process.terminate()
    seconds, code = ended(process)
    assert code == 130 and seconds > 1.5
    assert json.loads(process.stdout.read().splitlines()[-1])["event"] == "cancelled"


def test_a_closed_standard_input_is_answered_as_well():
    process = busy("asleep", "--stop-with-stdin")
    process.stdin.close()
    seconds, code = ended(process)
    assert code == 130 and seconds < PROMISED


def test_check_raises_without_an_update():
    progress = Progress()
    progress.check()
    progress.cancel()
    with pytest.raises(Cancelled):
        progress.check()


def tool(name: str, *words: object) -> str:
    """Run a tool of tools/; what it prints."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tools" / name), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.long
def test_every_stage_of_every_command_answers():
    # 3 s: other tests share this machine's cores; what is promised is measured with the tool alone
    printed = tool("stops.py", "--frames", 60, "--steps", 40, "--each", 1, "--limit", 3)
    for stage in ("frames", "flow", "masks", "motion", "training", "maps", "render", "camera"):
        assert f"| {stage} |" in printed, printed


@pytest.mark.long
def test_kills_cost_nothing():
    printed = tool("kills.py", "--kills", 12, "--seed", 4)
    assert " 0 lost, 0 left over, 0 half painted" in printed


ENDING = """
import atexit, sys, threading, time
from pathlib import Path
from nvd_core.cli.stopping import end

def late():
    time.sleep(0.3)
    Path(sys.argv[1]).write_text("written")

atexit.register(print, "at the end")
threading.Thread(target=late).start()
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("said", end="; ")
end(3)
"""


def test_a_process_that_ends_lets_its_threads_finish_and_says_all(tmp_path):
    command = [sys.executable, "-c", ENDING, str(tmp_path / "late")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 3 and done.stdout == "said; at the end\n", done.stderr
    assert (tmp_path / "late").read_text() == "written"
