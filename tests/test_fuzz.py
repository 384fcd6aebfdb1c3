"""tools/fuzz.py: damaged files of every kind, for some seconds in each run and a minute in the long
one; and that it finds what it is there for."""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_parts.readers import KINDS

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it watches by what POSIX has")


def fuzz(failures: Path, *words: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), "--failures", str(failures), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)


def counts(text: str) -> dict[str, list[int]]:
    rows = [line.split() for line in text.splitlines() if line.split()[:1] and line[0] != "/"]
    return {row[0]: [int(n) for n in row[1:]] for row in rows if row[0] in (*KINDS, "all")}


@pytest.mark.slow
def test_a_few_of_every_kind(tmp_path):
    done = fuzz(tmp_path, "--count", "12", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    by_kind = counts(done.stdout)
    assert set(by_kind) == {*KINDS, "all"}
    assert all(numbers[0] == 12 for name, numbers in by_kind.items() if name != "all")
    assert by_kind["all"][1] > 100 and by_kind["all"][3:] == [0, 0, 0]


@pytest.mark.long
def test_a_minute(tmp_path):
    done = fuzz(tmp_path, "--seconds", "60", "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(done.stdout)["all"][0] > 500


BROKEN = """
import sys, time
from pathlib import Path
import fuzz_parts.readers as readers

def broken(base, path, chosen):
    with Path(__file__).with_name("calls").open("a+b") as calls:
        calls.write(b"x")
        act = calls.tell() % 6
    if act == 0:
        raise KeyError("points")
    if act == 1:
        time.sleep(3600)
    if act == 2:
        import os, signal
        os.kill(os.getpid(), signal.SIGSEGV)
    if act == 3:
        return readers.np.array([float("nan")])
    if act == 4:
        readers.np.ones(9 << 28, "u1")

if "fuzz_parts.worker" in sys.orig_argv:
    once = []
    whole = readers.KINDS["keys"].read
    def read(base, path, chosen):
        if not once:
            once.append(1)
            return whole(base, path, chosen)
        return broken(base, path, chosen)
    readers.KINDS["keys"] = readers.Kind(("keys.yaml",), read)
"""


@pytest.mark.long
def test_it_finds_each_kind_of_failure(tmp_path):
    """A reader that raises, hangs, dies, takes NaN in silence or takes 2.5 GB."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'fuzz_parts.worker' in sys.orig_argv:\n"
        "    import importlib.util\n"
        "    import broken_reader\n"
    )
    (tmp_path / "broken_reader.py").write_text(BROKEN)
    words = ("--kind", "keys", "--count", "6", "--hang", "12", "--seed", "2")
    done = fuzz(tmp_path / "failures", *words, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    _, _, _, escapes, hangs, over = counts(done.stdout)["keys"]
    assert escapes and hangs and over, done.stdout
    kept = [json.loads(path.read_text()) for path in (tmp_path / "failures").glob("*/case.json")]
    assert len(kept) == escapes + hangs + over
    said = " ".join(case["text"] for case in kept)
    assert "KeyError" in said and "process died" in said and "NaN or infinity" in said
    one = next(case for case in kept if "KeyError" in case["text"])
    name = f"{one['kind']}-{one['seed']}-{one['number']}"
    again = fuzz(tmp_path / "again", "--replay", str(tmp_path / "failures" / name / "case.json"))
    assert again.returncode == 0, "the real reader is not broken"


def test_a_case_is_the_same_whatever_came_before(tmp_path):
    from fuzz_parts.damage import ODD, damage

    folders = itertools.count()

    def case(number: int) -> bytes:
        path = tmp_path / str(next(folders)) / "values.json"
        path.parent.mkdir()
        path.write_text('{"a": [1, 2], "b": {"c": [3], "d": null}, "e": []}')
        damage(random.Random(f"values {number}"), path, [Path(__file__)])
        return path.read_bytes() if path.is_file() else b""

    before = repr(ODD)
    first = [case(number) for number in range(400)]
    assert [case(number) for number in range(400)] == first
    assert repr(ODD) == before
