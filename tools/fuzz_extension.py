"""Damaged files for the extension's readers, in a real Blender: every one is refused in words.

    .envs/bpy-4.5/bin/python tools/fuzz_extension.py --seconds 60 --seed 0

Takes a decomposition folder and a job's folder, spoils a file of them in one of many ways and lets
the extension read it: `open_shot`, the reader of maps, jobs and their logs. Right is an AddonError
(an ExrError of the reader of maps) or that it is read. Anything else is an escape; more than 5
seconds is a hang, and 2 GB are too much. Prints a table by kind. Exit code 1 where one was found;
each is told with the number of its case, which --only runs again.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ENGINE = ROOT / ".envs" / "engine" / "bin" / "python"
SLOW, MOST_MEMORY = 5.0, 2 << 30
MEASURES = ("cases", "refused", "accepted", "escapes", "hangs", "over 2 GB")

NASTY: list = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 10**9, 10**400, -(10**400), 0.5, 1e308, float("nan"),
    float("inf"), "", "0", "text", "a" * 300, "a" * 100_000, "../x", "/etc/hostname", "a\0b",
    "\ud800", "\x1b[2J", "[/x]", "%s", "%0999d", "x%09d.png", "frames/%05d.png/%05d", "con", [],
    [0], [0, 0], [1, 10**9], [10**400, 1], [2**31 - 1, 1], [[]] * 50, {}, {"a": {"b": []}}, ".",
    "..", "manifest.json", "maps", "frames/%05d.png", "maps/00000.exr",
]  # fmt: skip
TEXTS = [b"", b"{", b"[]", b"null", b"[" * 3000, b'{"a":' * 3000, b"\xff\xfe\x00", b"NaN",
         b"1" * 9000, b'{"a": "\\ud800"}', b" " * 100_000, b"\x00" * 4096]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="CASE", help="the case of this number alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        fuzzer = Fuzzer(Path(temporary), given.seed)
        if given.only is not None:
            fuzzer.case(given.only)
        else:
            fuzzer.run(given.seconds)
        return fuzzer.report()


class Fuzzer:
    """Spoils copies of good folders; `case`(number) always does the same."""

    def __init__(self, folder: Path, seed: int) -> None:
        os.environ.setdefault("BLENDER_USER_RESOURCES", str(folder / "blender"))
        import bpy

        from blender_addon.errors import AddonError
        from blender_addon.shot.exr import ExrError

        self.bpy, self.refusals = bpy, (AddonError, ExrError)
        self.seed, self.folder = seed, folder
        self.counts: dict[str, Counter] = {}
        self.faults: list[str] = []
        subprocess.run([ENGINE, ROOT / "tests/scripts/make_folder.py", folder / "good"], check=True)
        self.good = folder / "good" / "shot.nvd"
        self.job = _make_job(folder / "job")
        self.kinds: dict[str, Callable[[random.Random], Callable[[], object]]] = {
            "manifest value": self.manifest_value,
            "manifest text": self.manifest_text,
            "map bytes": self.map_bytes,
            "map header": self.map_header,
            "open: image bytes": self.image_bytes,
            "open: image header": self.image_header,
            "open: files": self.files,
            "open: journal": self.journal,
            "open: values": self.values,
            "open: stack": self.stack,
            "job value": self.job_value,
            "job text": self.job_text,
            "job log": self.job_log,
            "job files": self.job_files,
        }

    def run(self, seconds: float) -> None:
        ends, number = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            self.case(number)
            number += 1

    def case(self, number: int) -> None:
        draw = random.Random(f"{self.seed} {number}")
        kind = list(self.kinds)[number % len(self.kinds)]
        read = self.kinds[kind](draw)
        counts = self.counts.setdefault(kind, Counter())
        counts["cases"] += 1
        faulthandler.dump_traceback_later(60, exit=True)
        before, began = _peak(), time.monotonic()
        try:
            read()
            counts["accepted"] += 1
        except self.refusals as error:
            words = str(error)
            if len(words) > 3000 or set(words) & set("\0\x1b\r\x9b\u202e"):
                self.fault(counts, "escapes", number, kind, f"words: {words[:200]!r}")
            counts["refused"] += 1
        except Exception:
            self.fault(counts, "escapes", number, kind, traceback.format_exc())
        finally:
            faulthandler.cancel_dump_traceback_later()
        if time.monotonic() - began > SLOW:
            self.fault(counts, "hangs", number, kind, f"{time.monotonic() - began:.1f} s")
        if _peak() - before > MOST_MEMORY:
            self.fault(counts, "over 2 GB", number, kind, f"{(_peak() - before) >> 20} MB")

    def fault(self, counts: Counter, what: str, number: int, kind: str, text: str) -> None:
        counts[what] += 1
        self.faults.append(f"case {number}, {kind}, {what}: {text}")

    # Ways to spoil: each returns what reads the result

    def shot(self) -> Path:
        folder = self.folder / "case.nvd"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.good, folder))

    def manifest_value(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        path = folder / "manifest.json"
        _write(path, _spoilt(json.loads(path.read_text()), draw))
        return self.opening(folder)

    def manifest_text(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        _spoil_bytes(folder / "manifest.json", draw, TEXTS)
        return self.opening(folder)

    def map_bytes(self, draw: random.Random) -> Callable[[], object]:
        path = self.shot() / "maps" / "00000.exr"
        _spoil_bytes(path, draw, TEXTS)
        return self.reading(path)

    def map_header(self, draw: random.Random) -> Callable[[], object]:
        path = self.shot() / "maps" / "00000.exr"
        _spoil_header(path, draw)
        return self.reading(path)

    def image_bytes(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        _spoil_bytes(draw.choice(_images(folder)), draw, TEXTS)
        return self.opening(folder)

    def image_header(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        _spoil_header(draw.choice(_images(folder)), draw)
        return self.opening(folder)

    def files(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        _replace_file(folder, draw)
        return self.opening(folder)

    def job_files(self, draw: random.Random) -> Callable[[], object]:
        folder = self.copied_job()
        _replace_file(folder, draw)
        return self.polling(folder)

    def journal(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        words = {"kept": {"toy.png": ".toy.kept.1.tmp.png"}, "pid": 1, "host": "elsewhere"}
        path = folder / "edits" / ".nvd.replacing.json"
        _write(path, _spoilt(words, draw))
        if draw.random() < 0.3:
            _spoil_bytes(path, draw, TEXTS)
        return self.opening(folder)

    def values(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        keys = {"keys": [[0, 1.0], [2, 0.4]], "interpolation": "linear"}
        layers = {"toy": {"visibility": 0.5, "light": keys}, "background": {"visibility": False}}
        path = folder / "edits" / "values.json"
        _write(path, _spoilt({"schema": "nvd.values", "version": 1, "layers": layers}, draw))
        if draw.random() < 0.3:
            _spoil_bytes(path, draw, TEXTS)
        return self.opening(folder)

    def stack(self, draw: random.Random) -> Callable[[], object]:
        folder = self.shot()
        of_all = {"on": True, "opacity": 0.5, "blend": "multiply", "frames": [0, 2], "fade_in": 1}
        quad = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]
        picture = {"file": "edits/stack/a.png", "corners": quad}
        words = {"text": "Words", "font": None, "colour": [1, 0.5, 0], "corners": quad}
        movie = {"file": "edits/stack/m/%05d.png", "start": 1, "after": "loop"}
        grade = {"hue": 20, "saturation": 0.5, "gain": 2, "gamma": 1.5, "mask": None}
        kinds: dict[str, dict] = {"picture": picture, "text": words, "movie": movie}
        kinds["adjustment"] = grade
        entries = [
            {"name": kind, "layer": "toy", "kind": kind, **of_all, **own}
            for kind, own in kinds.items()
        ]
        path = folder / "edits" / "stack.json"
        _write(path, _spoilt({"schema": "nvd.stack", "version": 1, "entries": entries}, draw))
        if draw.random() < 0.3:
            _spoil_bytes(path, draw, TEXTS)
        return self.opening(folder)

    def job_value(self, draw: random.Random) -> Callable[[], object]:
        folder = self.copied_job()
        path = folder / draw.choice(["plan.json", "process.json", "last.json", "claim"])
        _write(path, _spoilt(json.loads(path.read_text()), draw))
        return self.polling(folder)

    def job_text(self, draw: random.Random) -> Callable[[], object]:
        folder = self.copied_job()
        name = draw.choice(["plan.json", "process.json", "last.json", "claim", "log.jsonl"])
        _spoil_bytes(folder / name, draw, TEXTS)
        return self.polling(folder)

    def job_log(self, draw: random.Random) -> Callable[[], object]:
        folder = self.copied_job()
        path = folder / "log.jsonl"
        lines = path.read_text().splitlines()
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(lines))
            spoilt = _spoilt(json.loads(lines[at]), draw) if lines[at].startswith("{") else {}
            lines[at] = json.dumps(spoilt, ensure_ascii=False)
        text = "\n".join(lines).encode("utf-8", "surrogatepass")
        text += draw.choice([b"", b"\n", bytes(draw.randbytes(3000)), b"x" * (3 << 20), b"\n\n{"])
        path.write_bytes(text)
        return self.polling(folder)

    def copied_job(self) -> Path:
        folder = self.folder / "copied"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(self.job, folder))

    # What reads

    def opening(self, folder: Path) -> Callable[[], object]:
        from blender_addon.shot.scripting import open_shot

        self.bpy.ops.wm.read_factory_settings(use_empty=True)
        self.bpy.context.scene.render.compositor_device = "CPU"
        return lambda: open_shot(folder)

    def reading(self, path: Path) -> Callable[[], object]:
        from blender_addon.shot.exr import read_channels, read_size

        names = [f"toy.Map.{channel}" for channel in "XYZ"]
        return lambda: (read_size(path), read_channels(path, names, size=(160, 90)))

    def polling(self, folder: Path) -> Callable[[], object]:
        from blender_addon.jobs.job import Job
        from blender_addon.jobs.lanes import as_problem
        from blender_addon.jobs.runner import describe

        def read() -> None:
            try:  # what cannot be read is told so by the runner, and by the queue
                job = Job(folder)
                for _ in range(60):
                    job.poll()
            except OSError as error:
                raise as_problem(error, f"{folder} cannot be read") from error
            for text in (describe(job), job.log.message, job.log.preview, *job.log.cautions):
                text.encode("utf-8", "surrogateescape")
            job.full_log()
            if job.error:
                raise job.error

        return read

    def report(self) -> int:
        print(f"| kind | {' | '.join(MEASURES)} |\n|---|{'---|' * len(MEASURES)}")
        for kind, counts in self.counts.items():
            print(f"| {kind} | {' | '.join(str(counts[what]) for what in MEASURES)} |")
        total = sum(self.counts.values(), Counter())
        print("\n" + ", ".join(f"{total[what]} {what}" for what in MEASURES))
        for fault in self.faults[:40]:
            print(fault)
        return int(bool(self.faults))


def _make_job(folder: Path) -> Path:
    """A job that ended well, with all the files it can have."""
    from blender_addon.jobs.job import Job

    step = {"title": "nothing", "command": ["true"]}
    job = Job.create(folder.parent, title="shot", kind="decompose", python="python3", steps=[step],
                     out=folder.parent / "out", name=folder.name)  # fmt: skip
    mark = {"pid": 2**22 + 1, "fingerprint": "gone 1", "run": "1" * 32}
    holder = mark | {"token": "a" * 32, "host": "elsewhere", "time": 1.0}
    for path, values in ((job.files.mark, mark), (job.files.last, mark), (job.files.claim, holder)):
        path.write_text(json.dumps(values))
    events = [
        {"event": "start", "pid": 7},
        {"event": "step", "title": "nothing", "number": 1, "of": 1},
        {"event": "progress", "stage": "flow", "done": 3, "total": 4, "seconds_left": 2.5,
         "psnr": 30.5, "preview": "preview.png"},
        {"event": "caution", "text": "dark"},
        {"event": "message", "text": "going on"},
        {"event": "result", "folder": "x", "layers": ["a"], "seconds": 3.5},
        {"event": "error", "problem": "p", "expected": "e", "found": "f", "remedy": "r",
         "reads": ["a"]},
        {"event": "exit", "code": 0},
    ]  # fmt: skip
    job.files.log.write_text("\n".join(map(json.dumps, events)) + "\nplain words\n")
    job.files.errors.write_text("Traceback\n")
    return folder


def _spoilt(value: object, draw: random.Random) -> object:
    """`value` with one of its parts, anywhere, replaced, removed, doubled or nested."""
    if isinstance(value, dict) and value and draw.random() < 0.9:
        key = draw.choice(list(value))
        how = draw.random()
        if how < 0.08:
            return {k: v for k, v in value.items() if k != key}
        if how < 0.12:
            return value | {draw.choice(["x", "\ud800", "a" * 300, ""]): value[key]}
        return value | {key: _spoilt(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        if draw.random() < 0.1:
            return value[:at] + value[at + 1 :] if draw.random() < 0.5 else value * 300
        return [*value[:at], _spoilt(value[at], draw), *value[at + 1 :]]
    if isinstance(value, str) and draw.random() < 0.3:
        return value + draw.choice(["\ud800", "\0", "\x1b[2J", "/../..", "a" * 300, "%d"])
    if draw.random() < 0.05:
        for _ in range(900):
            value = [value]
        return value
    return draw.choice(NASTY)


def _replace_file(folder: Path, draw: random.Random) -> None:
    """Put nothing, a folder, a link, another file or a pipe in the place of one of the files."""
    path = draw.choice([p for p in sorted(folder.rglob("*")) if p.is_file()])
    how = draw.randrange(5)
    other = draw.choice([p for p in sorted(folder.rglob("*")) if p.is_file()])
    content = other.read_bytes()
    path.unlink()
    if how == 1:
        path.mkdir()
    elif how == 2:
        path.symlink_to(draw.choice(["/etc/hostname", path.name, "..", "../gone"]))
    elif how == 3:
        path.write_bytes(content)
    elif how == 4:
        os.mkfifo(path)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8", "surrogatepass")


def _images(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.suffix in (".png", ".exr")]


def _spoil_bytes(path: Path, draw: random.Random, texts: list[bytes]) -> None:
    """Cut the file, turn bits, zero a stretch, put in or double a piece, or put a text there."""
    data = bytearray(path.read_bytes())
    how = draw.randrange(6)
    at = draw.randrange(len(data) + 1)
    if how == 0:
        del data[at:]
    elif how == 1:
        for _ in range(draw.choice([1, 1, 4, 64])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif how == 2:
        data[at : at + draw.choice([4, 100, 5000])] = bytes(draw.choice([4, 100, 5000]))
    elif how == 3:
        data[at:at] = draw.randbytes(draw.choice([1, 8, 999]))
    elif how == 4:
        data += data[at:] * 2
    else:
        data = bytearray(draw.choice(texts))
    path.write_bytes(data)


def _spoil_header(path: Path, draw: random.Random) -> None:
    """Put an odd number into the first part of the file, where sizes and places stand."""
    data = bytearray(path.read_bytes())
    for _ in range(draw.choice([1, 1, 2, 3])):
        at = draw.randrange(8, min(len(data) - 8, 24 if path.suffix == ".png" else 900))
        number = draw.choice([0, 1, 2**15, 2**15 + 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 30000])
        data[at : at + 4] = struct.pack(draw.choice("<>") + "I", number)
    if path.suffix == ".exr" and draw.random() < 0.5:  # the window's own numbers
        at = data.find(b"dataWindow\0box2i\0") + 21
        place = at + 4 * draw.randrange(4)
        data[place : place + 4] = struct.pack(
            "<i", draw.choice([-1, 0, 2**31 - 1, -(2**31), 30000])
        )
    path.write_bytes(data)


def _peak() -> int:
    """Bytes of memory that this process held at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # Blender as a module may not take itself down
