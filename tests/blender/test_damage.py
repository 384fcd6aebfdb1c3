"""Damaged and hostile files in a real Blender: each is refused in words, and Blender goes on."""

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.errors import AddonError
from blender_addon.jobs.job import Job
from blender_addon.jobs.job_log import JobLog
from blender_addon.shot.exr import ExrError, read_channels, read_size
from blender_addon.shot.folder import ShotError, read_shot
from blender_addon.shot.scripting import open_shot

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MAP = [f"toy.Map.{channel}" for channel in "XYZ"]


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "shot.nvd", tmp_path / "shot.nvd"))


def change(folder: Path, key: str, value: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    values = manifest
    for parent in parents:
        values = values[parent]
    values[last] = value
    path.write_text(json.dumps(manifest))


def refused(folder: Path, *words: str) -> None:
    """`folder` is not opened: one error that says so, quickly, and nothing of it stays."""
    began = time.monotonic()
    with pytest.raises(ShotError) as caught:
        open_shot(folder)
    assert time.monotonic() - began < 5
    assert caught.value.problem and caught.value.remedy and len(str(caught.value)) < 3000
    for word in words:
        assert word in str(caught.value), word
    assert not bpy.data.images
    assert not [group for group in bpy.data.node_groups if group.name.startswith("NVD")]


class TestManifest:
    @pytest.mark.parametrize(
        ("key", "value", "says"),
        [
            ("clip.frames", 10**9, "clip.frames"),
            ("clip.frames", 10**400, "clip.frames"),
            ("clip.frames", 1_000_000, "are missing"),
            ("clip.width", 2**31, "clip.width"),
            ("clip.height", 10**400, "clip.height"),
            ("clip.width", 161, "161"),
            ("clip.rate", [10**400, 1], "clip.rate"),
            ("clip.rate", [1, 10**9], "clip.rate"),
            ("clip.rate", [2**31 - 1, 1], "clip.rate"),
            ("clip.rate", [True, True], "clip.rate"),
            ("clip.rate", [[]] * 50_000, "clip.rate"),
            ("frames", "%0999d", "pattern"),
            ("frames", "f" * 300 + "%05d.png", "missing"),
            ("frames", "f" * 100_000, "pattern"),
            ("maps", "maps/\ud800%05d.exr", ""),
            ("layers.0.name", "a" * 300, "no name"),
            ("layers.0.texture", "textures/" + "a" * 300, "missing"),
            ("layers.0.texture", "textures", "missing"),
            ("layers.0.edit", "edits", ""),
            ("layers.0.edit", "a" * 300, ""),
            ("layers.0.kind", "\x1b[2J" * 1000, "object or background"),
            ("layers", [{}] * 100_000, "100000 layers"),
            ("schema", {"a": "b" * 100_000}, "schema"),
            ("version", 10**400, "version"),
        ],
    )
    def test_a_value(self, folder, key, value, says):
        change(folder, key, value)
        refused(folder, says)

    @pytest.mark.parametrize(
        "text", [b"", b"[" * 3000, b'{"a":' * 3000, b"\xff\xfe", b"1" * 9000, b'{"a": NaN}', b"\0"]
    )
    def test_a_text(self, folder, text):
        (folder / "manifest.json").write_bytes(text)
        refused(folder)

    def test_one_without_end_takes_no_memory(self, folder):
        with (folder / "manifest.json").open("r+b") as file:
            file.truncate(1 << 33)
        refused(folder, "larger than")

    def test_a_folder_in_its_place(self, folder):
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").mkdir()
        refused(folder, "manifest.json")

    @pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "\udcff"])
    def test_a_path_that_is_none(self, name):
        with pytest.raises(ShotError):
            read_shot(name)

    def test_a_folder_whose_name_is_not_unicode(self, folder):
        strange = folder.with_name("a\udcff.nvd")
        folder.rename(strange)
        refused(strange, "Unicode")

    def test_cautions_are_words(self, folder):
        change(folder, "cautions", ["a\x1b[2J", {"b": 1}, "c" * 100_000] * 50)
        cautions = read_shot(folder).cautions
        assert len(cautions) < 50 and all(len(line) <= 1000 for line in cautions)
        open_shot(folder)


def png_of(width: int, height: int) -> bytes:
    """A PNG that is whole and claims any size; what it holds is a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">2I5B", width, height, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" * 999)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_window(path: Path, *window: int) -> None:
    """Let the EXR claim another data window."""
    data = bytearray(path.read_bytes())
    at = data.find(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[at : at + 16] = struct.pack("<4i", *window)
    path.write_bytes(data)


class TestImages:
    @pytest.mark.parametrize("name", ["textures/toy.png", "edits/toy.png", "frames/00002.png"])
    @pytest.mark.parametrize(
        "content",
        [b"", b"not an image", b"\x89PNG\r\n\x1a\n", png_of(30000, 30000), png_of(2**31 - 1, 9)],
        ids=["empty", "text", "cut off", "900 million pixels", "2^31 wide"],
    )
    def test_one_that_is_none_or_too_large(self, folder, name, content):
        (folder / name).write_bytes(content)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(folder, str(folder / name))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000

    @pytest.mark.parametrize("name", ["textures/background.png", "edits/leaf-2.png"])
    def test_a_bad_checksum(self, folder, name):
        path = folder / name
        data = bytearray(path.read_bytes())
        data[data.find(b"IDAT") + 20] ^= 1
        path.write_bytes(data)
        refused(folder, str(path))

    @pytest.mark.parametrize("name", ["textures/toy.png", "frames/00001.png", "maps/00001.exr"])
    def test_a_folder_where_a_file_belongs(self, folder, name):
        (folder / name).unlink()
        (folder / name).mkdir()
        refused(folder, str(folder / name))

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
    @pytest.mark.parametrize("name", ["manifest.json", "textures/toy.png", "maps/00001.exr"])
    def test_a_pipe_where_a_file_belongs(self, folder, name):
        """Whoever opens it waits until someone writes into it, which is for ever."""
        (folder / name).unlink()
        os.mkfifo(folder / name)
        refused(folder, str(folder / name), "no file" if name == "manifest.json" else "neither")

    @pytest.mark.parametrize(
        "window",
        [(0, 0, 2**31 - 1, 0), (0, 0, 32767, 32767), (0, 0, -5, 5), (-(2**31), 0, 2**31 - 1, 9)],
    )
    @pytest.mark.parametrize("name", ["maps/00000.exr", "maps/00002.exr"])
    def test_maps_that_claim_another_size(self, folder, name, window):
        with_window(folder / name, *window)
        refused(folder, name)

    def test_files_in_each_others_place(self, folder):
        shutil.copy(folder / "textures/toy.png", folder / "frames/00001.png")
        refused(folder, "frames/00001.png", "as the manifest says")

    @pytest.mark.parametrize(
        "name", ["frames/00000.png", "frames/00002.png", "textures/toy.png", "edits/toy.png"]
    )
    def test_maps_under_the_name_of_a_picture(self, folder, name):
        shutil.copy(folder / "maps/00000.exr", folder / name)
        refused(folder, name, "does not begin as PNG does")

    def test_a_picture_under_the_name_of_maps(self, folder):
        shutil.copy(folder / "frames/00000.png", folder / "maps/00001.exr")
        refused(folder, "maps/00001.exr", "does not begin as EXR does")

    def test_layers_where_one_picture_belongs(self, folder):
        """All is in order by their names: EXR for EXR, of the right size."""
        for index in range(3):
            shutil.copy(folder / f"maps/{index:05d}.exr", folder / f"frames/{index:05d}.exr")
        for path in (folder / "frames").glob("*.png"):
            path.unlink()
        change(folder, "frames", "frames/%05d.exr")
        refused(folder, "frames/00000.exr", "holds layers, not one picture")


class TestMaps:
    @pytest.fixture
    def path(self, folder) -> Path:
        return folder / "maps" / "00000.exr"

    def fails(self, path: Path, *words: str) -> None:
        began = time.monotonic()
        with pytest.raises(ExrError) as caught:
            read_channels(path, MAP, size=(160, 90))
        assert time.monotonic() - began < 5 and str(path) in str(caught.value)
        for word in words:
            assert word in str(caught.value)

    def spoil(self, path: Path, at: int, data: bytes) -> None:
        content = bytearray(path.read_bytes())
        content[at : at + len(data)] = data
        path.write_bytes(content)

    def table(self, path: Path) -> tuple[int, int]:
        """Where the table of blocks stands, and where the first block."""
        data = path.read_bytes()
        first = min(
            struct.unpack_from("<Q", data, at)[0]
            for at in range(300, 2000)
            if struct.unpack_from("<Q", data, at)[0] == at + 8 * 6
        )
        return first - 8 * 6, first

    def test_a_good_one(self, path):
        assert read_channels(path, MAP, size=(160, 90)).shape == (3, 90, 160)
        assert read_size(path) == (160, 90)

    def test_an_attribute_of_negative_size_does_not_go_round_for_ever(self, path):
        at = path.read_bytes().find(b"channels\0chlist\0") + len(b"channels\0chlist\0")
        self.spoil(path, at, struct.pack("<i", -(len(b"channels\0chlist\0") + 4)))
        self.fails(path)

    def test_blocks_that_are_one_and_the_same(self, path):
        table, first = self.table(path)
        self.spoil(path, table, struct.pack("<6Q", *[first] * 6))
        self.fails(path, "twice")

    def test_a_block_that_unpacks_without_end(self, path):
        _, first = self.table(path)
        bomb = zlib.compress(b"\0" * (1 << 28), 9)
        data = bytearray(path.read_bytes())
        data[first + 4 :] = struct.pack("<i", 30_000) + bomb
        path.write_bytes(data)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.fails(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_numbers_that_are_none(self, path, value, tmp_path):
        plain = tmp_path / "plain.exr"
        write_plain(plain, np.full((3, 90, 160), value, np.float32))
        self.fails(plain, "NaN or infinity")

    def test_another_size_is_told_before_memory_is_taken(self, path):
        with_window(path, 0, 0, 8191, 8191)
        self.fails(path, "not the size of the clip")

    @pytest.mark.parametrize("size", [0, 4, 100, 700, 5000])
    def test_cut_off(self, path, size):
        path.write_bytes(path.read_bytes()[:size])
        self.fails(path)


def write_plain(path: Path, planes: np.ndarray) -> None:
    """An EXR without compression of the channels MAP."""
    _, height, width = planes.shape

    def attribute(name: bytes, kind: bytes, data: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(data)) + data

    channel = struct.pack("<iB3xii", 2, 0, 1, 1)
    listed = b"".join(name.encode() + b"\0" + channel for name in MAP) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = struct.pack("<II", 20000630, 2) + attribute(b"channels", b"chlist", listed)
    head += attribute(b"compression", b"compression", b"\0")
    head += attribute(b"dataWindow", b"box2i", window) + b"\0"
    size = 4 * planes.shape[0] * width
    first = len(head) + 8 * height
    table = struct.pack(f"<{height}Q", *(first + y * (size + 8) for y in range(height)))
    rows = [
        struct.pack("<ii", y, size) + planes[:, y].astype("<f4").tobytes() for y in range(height)
    ]
    path.write_bytes(head + table + b"".join(rows))


class TestHalfPainted:
    def leave(self, folder: Path, **words: object) -> None:
        """As a painting leaves it that was killed when the toy's edit was replaced."""
        kept = folder / "edits" / ".toy.kept.77.tmp.png"
        shutil.copy(folder / "edits" / "toy.png", kept)
        shutil.copy(folder / "textures" / "toy.png", folder / "edits" / "toy.png")
        journal = {"kept": {"toy.png": kept.name}, "pid": 77, "host": "elsewhere"} | words
        (folder / "edits" / ".nvd.replacing.json").write_text(json.dumps(journal))

    def test_it_is_taken_back(self, folder):
        edit = folder / "edits" / "toy.png"
        before = edit.read_bytes()
        self.leave(folder)
        assert edit.read_bytes() != before
        open_shot(folder)
        assert edit.read_bytes() == before
        assert not [path for path in edit.parent.iterdir() if path.name.startswith(".")]

    def test_one_that_goes_on_is_left_alone(self, folder):
        edit = folder / "edits" / "toy.png"
        self.leave(folder, pid=os.getppid(), host=os.uname().nodename)
        now = edit.read_bytes()
        open_shot(folder)
        assert edit.read_bytes() == now

    @pytest.mark.parametrize(
        "kept", [{"../manifest.json": None}, {"toy.png": "../a.1.tmp.png"}, 7, {"\ud800": None}]
    )
    def test_a_strangers_reaches_nothing(self, folder, kept):
        self.leave(folder, kept=kept)
        open_shot(folder)
        assert (folder / "manifest.json").exists() and (folder / "edits" / "toy.png").exists()


ENGINES = {
    "rubbish": "import os; os.write(1, os.urandom(3_000_000)); os.write(1, b'\\n')",
    "megabytes without a newline": "print('x' * 30_000_000, end='')",
    "half a line": 'print(\'{"event": "progress", "stage": "fl\', end=\'\')',
    "other types": 'print(\'{"event": "progress", "stage": [], "done": {}, "total": null}\')',
    "nested": "print('{\"event\":' * 50_000)",
    "ended by a signal": "import os; os.kill(os.getpid(), 9)",
    "code 1": "import sys; sys.exit('what went wrong')",
}


class TestEngine:
    def run(self, root: Path, program: str) -> Job:
        step = {"title": "a step", "command": [sys.executable, "-c", program]}
        return Job.create(root, title="shot", kind="decompose", python=sys.executable, steps=[step])

    @pytest.mark.parametrize("program", ENGINES.values(), ids=ENGINES)
    def test_one_that_prints_rubbish(self, tmp_path, program):
        job = self.run(tmp_path, program)
        job.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends = time.monotonic() + 120
        while not job.ended and time.monotonic() < ends:
            job.poll()
            time.sleep(0.001)
        assert job.ended
        failed = "kill" in program or "exit" in program
        if not failed:
            assert job.state == "done", job.error
        else:
            assert job.state == ("interrupted" if "kill" in program else "failed")
            assert isinstance(job.error, AddonError) and job.error.problem and job.error.remedy
        words = job.full_log()
        assert len(words) < 5_000_000 and not set(words) & set("\0\x1b\r\x9b\u202e")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000

    def test_one_that_never_ends_is_ended(self, tmp_path, monkeypatch):
        monkeypatch.setattr("blender_addon.jobs.job.KILL_AFTER", 1.0)
        job = self.run(tmp_path, "import signal, time\n"
                       "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                       "print('here', flush=True)\nwhile True: time.sleep(1)")  # fmt: skip
        job.start()
        ends = time.monotonic() + 60
        while job.log.message != "here" and time.monotonic() < ends:
            job.poll()
            time.sleep(0.01)
        job.cancel()
        while not job.ended and time.monotonic() < ends:
            job.poll()
            time.sleep(0.01)
        assert job.state == "cancelled"

    def test_a_log_that_is_a_folder(self, tmp_path):
        job = self.run(tmp_path, "pass")
        job.files.log.mkdir()
        job.start()
        assert job.state == "failed" and job.error.remedy

    def test_a_log_of_half_a_line_that_goes_on(self, tmp_path):
        path = tmp_path / "log.jsonl"
        path.touch()
        log = JobLog(path)
        with path.open("ab") as file:
            file.write(b'{"event": "message", "te')
            file.flush()
            log.read()
            assert not log.message and not log.unread
            file.write(b'xt": "whole"}\n')
            file.flush()
            log.read()
        assert log.message == "whole"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no disk that is always full")
def test_a_job_on_a_full_disk(tmp_path, monkeypatch):
    """Nothing more can be written: `os.open` and `open` are real, the disk is /dev/full."""
    step = {"title": "a step", "command": ["true"]}
    job = Job.create(tmp_path, title="shot", kind="decompose", python=sys.executable, steps=[step])
    for name in ("plan.json", "claim", "process.json"):
        beside = job.folder / f"{name}.{os.getpid()}.new"
        beside.symlink_to("/dev/full")
    job.start()
    assert job.state == "failed" and "cannot be written" in job.error.problem
    assert "room" in job.error.remedy


def test_fuzz():
    """10 s of what tools/fuzz_extension.py does by hand for as long as one likes."""
    program = [sys.executable, str(ROOT / "tools" / "fuzz_extension.py"), "--seconds", "10"]
    program += ["--seed", "3"]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " 0 escapes, 0 hangs, 0 over 2 GB" in done.stdout
