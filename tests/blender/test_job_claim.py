"""The claim on a job's folder: one process at a time, and what a dead one left is taken over."""

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from blender_addon.jobs import claim, process
from blender_addon.jobs.claim import Claimed, claimed, read_holder

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform == "win32", reason="processes as POSIX has them"),
]


class TestClaim:
    def holder(self, **more) -> str:
        values = {"token": "0" * 32, "pid": 99999, "fingerprint": "gone", "time": time.time()}
        return json.dumps(values | {"host": platform.node()} | more)

    def test_one_at_a_time(self, tmp_path):
        path = tmp_path / "claim"
        with claimed(path, "shot"):
            with pytest.raises(Claimed, match=rf"process {os.getpid()} on {platform.node()}"):
                claimed(path, "shot").__enter__()
            assert read_holder(path).pid == os.getpid()
        assert not path.exists()
        with pytest.raises(KeyError), claimed(path, "shot"):
            raise KeyError
        assert not path.exists()

    def test_that_of_a_dead_process_is_taken_over(self, tmp_path):
        path = tmp_path / "claim"
        path.write_text(self.holder())
        with claimed(path, "shot"):
            assert read_holder(path).pid == os.getpid()
        assert not list(tmp_path.iterdir())

    def test_that_of_another_machine_is_not(self, tmp_path):
        path = tmp_path / "claim"
        path.write_text(self.holder(host="another"))
        with pytest.raises(Claimed, match="on another") as caught, claimed(path, "shot"):
            pass
        assert str(path) in caught.value.remedy and path.exists()

    def test_that_of_a_living_process_is_not(self, tmp_path):
        path = tmp_path / "claim"
        with subprocess.Popen(["sleep", "60"]) as sleeper:
            path.write_text(
                self.holder(pid=sleeper.pid, fingerprint=process.fingerprint(sleeper.pid))
            )
            with pytest.raises(Claimed), claimed(path, "shot"):
                pass
            sleeper.kill()
        with claimed(path, "shot"):
            pass

    def test_a_blank_one_is_taken_over_after_a_minute(self, tmp_path):
        path = tmp_path / "claim"
        path.touch()
        with pytest.raises(Claimed), claimed(path, "shot"):
            pass
        os.utime(path, (time.time() - 61,) * 2)
        with claimed(path, "shot"):
            pass
        assert not list(tmp_path.iterdir())

    def test_a_holder_that_slept_while_it_wrote_gives_up(self, tmp_path, monkeypatch):
        """Another may have taken its blank claim over by then."""
        path, real = tmp_path / "claim", os.write

        def slow(file, data):
            monkeypatch.setattr(claim.time, "time", lambda: time.monotonic() + 10**10)
            return real(file, data)

        monkeypatch.setattr(os, "write", slow)
        assert claim._take(path) == "" and not path.exists()

    def test_two_that_find_it_left_behind(self, tmp_path):
        """The second found the dead holder too, and comes when the first has cleared away."""
        path = tmp_path / "claim"
        path.write_text(self.holder())
        found, real, seen = [], claim.read_holder, []

        def slow(asked):
            holder = real(asked)
            if asked == path and not seen:
                seen.append(holder)
                with claimed(path, "first"):  # the other takes it over, all the way
                    found.append(real(path).token)
                    assert real(path).token != holder.token
                    claim_of_first = path.read_text()
                    with pytest.raises(Claimed):
                        _take_over_having_seen(path, holder)
                    assert path.read_text() == claim_of_first
            return holder

        def _take_over_having_seen(path, holder):
            answers = iter([holder])
            claim.read_holder = lambda asked: next(answers, None) or real(asked)
            try:
                return claim._take_over(path, "second")
            finally:
                claim.read_holder = slow

        claim.read_holder = slow
        try:
            with claimed(path, "second"):
                assert real(path).token != found[0]
        finally:
            claim.read_holder = real
        assert not list(tmp_path.iterdir())

    def test_many_processes_take_one_over(self, tmp_path, engine, start_script):
        """Of eight processes at one dead claim, again and again, never two have it."""
        for number in range(30):
            (tmp_path / f"claim{number}").write_text(self.holder())
        words = [tmp_path, 30, time.time() + 2.0]
        racers = [start_script("race_claims.py", *words, python=engine.PYTHON) for _ in range(8)]
        said = [racer.communicate(timeout=60) for racer in racers]
        assert not any(errors for _, errors in said), said
        had = {int(number) for output, _ in said for number in output.split()}
        assert had == set(range(30)) and not list(tmp_path.iterdir())
