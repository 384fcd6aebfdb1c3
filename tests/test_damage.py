"""Every kind of damage, once: the reader's error names the file, and says what to do."""

import dataclasses
import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
import torch
from fuzz_parts import arrays, claims
from fuzz_parts.base import FRAMES, HEIGHT, WIDTH, make_base
from fuzz_parts.readers import KINDS

from nvd_core.cli.main import main
from nvd_core.editing.render import render
from nvd_core.evaluation.lpips import Lpips
from nvd_core.fields.saved_model import load_checkpoint, load_model
from nvd_core.media.clip import open_clip
from nvd_core.media.images import read_image
from nvd_core.media.sequences import frame_path, list_frames
from nvd_core.priors.masks import load_masks
from nvd_core.runtime import memory
from nvd_core.runtime.documents import Unreadable, parse_json
from nvd_core.runtime.errors import NvdError
from nvd_core.shot.maps import read_maps
from nvd_core.shot.shot import Shot
from nvd_core.shot.tile_index import TileIndex

LAYERS = ["disc", "background"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    make_base(folder)
    return folder


@pytest.fixture
def base(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "base")


def read(base: Path, kind: str, path: Path) -> None:
    KINDS[kind].read(base, path, random.Random(0))


def refused(base: Path, kind: str, path: Path, words: str = "") -> None:
    """The reader of a kind refuses the file, names it and has a remedy."""
    with pytest.raises(NvdError, match=words or None) as caught:
        read(base, kind, path)
    said = str(caught.value)
    assert path.name in said or path.parent.name in said, said
    assert caught.value.remedy and "\n" not in said


def with_json(path: Path, *keys, value) -> Path:
    """Put `value` in a JSON file; a text that begins with @ goes in without its quotes."""
    whole = json.loads(path.read_text())
    part = whole
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    text = json.dumps(whole)
    if isinstance(value, str) and value.startswith("@"):
        text = text.replace(json.dumps(value), value[1:])
    path.write_text(text)
    return path


MANIFEST, JOB, FACTS = "shot.nvd/manifest.json", "work.nvd/job.json", "shot.nvd/checkpoint.json"


@pytest.mark.parametrize(
    ("file", "kind", "keys", "value"),
    [
        (MANIFEST, "manifest", ("clip", "rate"), [10**400, 1]),
        (MANIFEST, "manifest", ("clip", "rate"), [1, 10**9]),
        (MANIFEST, "manifest", ("clip", "frames"), 10**9),
        (MANIFEST, "manifest", ("clip", "frames"), 900_000),
        (MANIFEST, "manifest", ("clip", "width"), 2**24),
        (MANIFEST, "manifest", ("frames",), "frames/%0999d.png"),
        (MANIFEST, "manifest", ("frames",), "frames/%0999999999999d.png"),
        (MANIFEST, "manifest", ("maps",), "m" * 300 + "/%05d.exr"),
        (MANIFEST, "manifest", ("layers", 0, "name"), "n" * 300),
        (MANIFEST, "manifest", ("layers", 0, "texture"), "t" * 300),
        (MANIFEST, "manifest", ("program",), "@" + "[" * 3000 + "]" * 3000),
        (MANIFEST, "manifest", ("program",), '@"\\ud800"'),
        (JOB, "job", ("clip", "rate"), [10**400, 1]),
        (JOB, "job", ("clip", "rate"), [1, 10**9]),
        (JOB, "job", ("clip", "width"), "wide"),
        (JOB, "job", ("clip", "source_width"), "wide"),
        (JOB, "job", ("clip", "frames"), 10**9),
        (FACTS, "networks", ("clip", "frames"), 2**31 - 1),
        (FACTS, "networks", ("clip", "frames"), 900_000),
        (FACTS, "networks", ("layers", 0, "deformation_mask"), 16384),
        (FACTS, "networks", ("layers", 0, "pixels_per_unit"), 1e9),
        (FACTS, "networks", ("layers", 0, "windows"), [[0, 1], [3, 900_000]]),
        (FACTS, "networks", ("textures", 0), [[0, "a"], [1, 1]]),
        (FACTS, "networks", ("textures", 0), "@[[0,0],[1,1" + "0" * 399 + "]]"),
        ("truth/truth.json", "truth", ("layers", 0, "paint"), ["red", 0, 0]),
        ("truth/truth.json", "truth", ("layers", 0, "kind"), ["object"]),
        ("truth/truth.json", "truth", ("width",), 10**9),
        ("truth/truth.json", "truth", ("frames",), 10**9),
        ("truth/truth.json", "truth", ("light_scale",), 1e300),
        ("truth/truth.json", "truth", ("files", "edited"), ["a"]),
        ("truth/truth.json", "truth", ("files", "edited"), "%0999d.png"),
        ("truth/truth.json", "truth", ("files", "edited"), "e" * 300),
        ("work.nvd/work/motion.json", "work", (0, "model"), 7),
        ("work.nvd/work/motion.json", "work", (0, "inlier_share"), "half"),
        ("work.nvd/work/motion.json", "work", (0, "refused"), [1]),
        ("work.nvd/work/motion.json", "work", (0, "windows"), [[0, 1], [3, 900_000]]),
    ],
)
def test_values_that_no_file_of_ours_holds(base, file, kind, keys, value):
    path = with_json(base / file, *keys, value=value)
    with pytest.raises(NvdError) as caught:
        read(base, kind, path)
    assert caught.value.remedy and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["frames.npy", "masks.npy", "flow_forward.npy", "flow_ok.npy"])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array[0],
        lambda array: array[..., :1, :],
        lambda array: array[:0],
        lambda array: array.astype(np.float64),
        lambda array: np.zeros(3, [("a", "f4")]),
    ],
    ids=["axes", "size", "empty", "type", "records"],
)
def test_arrays_of_another_form(base, name, change):
    path = base / "work.nvd" / "work" / name
    np.save(path, change(np.load(path)))
    refused(base, "work", path, "cannot read the array")


@pytest.mark.parametrize("size", [0, 5, 50, 200, -1])
def test_a_truncated_array(base, size):
    path = base / "work.nvd" / "work" / "frames.npy"
    path.write_bytes(path.read_bytes()[:size])
    refused(base, "work", path)


def test_motion_with_nan(base):
    path = base / "work.nvd" / "work" / "motion.npy"
    motion = np.load(path)
    motion[0, 1, 0, 0] = np.nan
    np.save(path, motion)
    refused(base, "work", path, "NaN")


@pytest.mark.parametrize(
    "wrong", [np.diag([1, 1, 7e-170]), np.zeros((3, 3)), 1e139 * np.eye(3), np.diag([1e9, 1e9, 1])]
)
def test_motion_that_no_camera_makes(base, wrong):
    path = base / "work.nvd" / "work" / "motion.npy"
    motion = np.load(path)
    motion[0, -1] = wrong
    np.save(path, motion)
    assert main(["resume", str(base / "work.nvd"), "--yes"]) == 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("compression", ["pxr24", "zip"])
def test_maps_with_nan_or_infinity(base, value, compression):
    """Our own reader of PXR24, and OpenImageIO's of all else."""
    path = base / "shot.nvd" / "maps" / "00001.exr"
    buffer = oiio.ImageBuf(str(path))
    spec, pixels = buffer.spec(), np.array(buffer.get_pixels("float"))
    pixels[7, 5, 3] = value
    spec.attribute("compression", compression)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec) and output.write_image(pixels) and output.close()
    with pytest.raises(NvdError, match="NaN or infinity"):
        read_maps(path, LAYERS)
    (path.parent / "00000.nodes").unlink()  # which would be read in its place
    assert main(["evaluate", str(base / "shot.nvd")]) == 2


def test_maps_of_another_size_are_not_even_read(base):
    path = base / "shot.nvd" / "maps" / "00001.exr"
    with pytest.raises(NvdError, match=r"00001\.exr.*the clip has 50 x 40"):
        read_maps(path, LAYERS, (40, 50))


def with_crc_broken(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[data.find(b"IDAT") + 30] ^= 0x10
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("frames/0001.png", "frames"),
        ("masks/0001.png", "masks"),
        ("shot.nvd/edits/disc.png", "edits"),
        ("truth/alphas/toy/00000.png", "truth"),
    ],
)
def test_a_bad_checksum(base, file, kind):
    with_crc_broken(base / file)
    refused(base, kind, base / file)


@pytest.mark.parametrize("layer", [2, -1, 10**9])
def test_unknown_layer_numbers(base, layer):
    with np.load(base / "tracks.npz") as stored:
        known = dict(stored)
    np.savez(base / "tracks.npz", **known | {"layer": np.array([0, layer, 1])})
    refused(base, "tracks", base / "tracks.npz", "layers")
    assert main(["evaluate", str(base / "shot.nvd"), "--tracks", str(base / "tracks.npz")]) == 2


@pytest.mark.parametrize("size", [[0, 10], [np.nan, 3], [1, 2, 3], [-5, 5]])
def test_tracks_of_an_impossible_size(base, size):
    with np.load(base / "tracks.npz") as stored:
        known = dict(stored)
    np.savez(base / "tracks.npz", **known | {"size": np.array(size)})
    refused(base, "tracks", base / "tracks.npz", "size")


class TestTensors:
    """Of checkpoints and weights: those that are missing, empty, NaN, or claim to be huge."""

    @pytest.fixture
    def checkpoint(self, base):
        return base / "shot.nvd" / "checkpoint.safetensors"

    def changed(self, path, change):
        raw = path.read_bytes()
        (length,) = struct.unpack_from("<Q", raw)
        header, data = json.loads(raw[8 : 8 + length]), bytearray(raw[8 + length :])
        change(header, data)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))

    def test_nan(self, base, checkpoint):
        def change(header, data):
            begin, _ = header["model.textures.0.mlp.0.weight"]["data_offsets"]
            data[begin : begin + 4] = b"\xff" * 4

        self.changed(checkpoint, change)
        refused(base, "checkpoint", checkpoint, "NaN")

    def test_missing(self, base, checkpoint):
        def change(header, data):
            header["other"] = header.pop("model.textures.0.mlp.0.weight")

        self.changed(checkpoint, change)
        refused(base, "checkpoint", checkpoint, "mlp")

    def test_no_metadata(self, base, checkpoint):
        self.changed(checkpoint, lambda header, data: header.pop("__metadata__"))
        refused(base, "checkpoint", checkpoint)

    def test_a_header_of_an_exabyte(self, base, checkpoint):
        checkpoint.write_bytes(struct.pack("<Q", 2**60) + b"{}")
        refused(base, "checkpoint", checkpoint)

    @pytest.mark.parametrize("key", ["exp_avg", "step"])
    def test_moments_that_do_not_fit(self, base, checkpoint, key):
        def change(header, data):
            header["other"] = header.pop(f"optimiser.1.3.{key}")

        self.changed(checkpoint, change)
        model = load_model(base / "shot.nvd")
        optimisers = [
            torch.optim.Adam(part) for part in (model.grid_tables(), model.network_parameters())
        ]
        with pytest.raises(NvdError, match="moments"):
            load_checkpoint(checkpoint, model, optimisers)

    @pytest.mark.parametrize(
        "value",
        [torch.zeros(0), torch.tensor(float("nan")), torch.ones(1).expand(64, 3, 2**15, 2**15)],
    )
    def test_weights(self, base, value):
        path = base / "alexnet.pth"
        state = torch.load(path, weights_only=True)
        torch.save(state | {"features.0.weight": value}, path)
        refused(base, "weights", path, "AlexNet")

    def test_weights_of_another_kernel(self, base):
        path = base / "alexnet.pth"
        state = torch.load(path, weights_only=True)
        torch.save(state | {"features.0.weight": torch.zeros(64, 3, 1, 1)}, path)
        with pytest.raises(NvdError, match=r"alexnet\.pth.*\[64, 3, 1, 1\]"):
            Lpips(path)


@pytest.mark.parametrize(
    ("file", "kind", "other"),
    [
        ("shot.nvd/maps/00001.exr", "maps", "frames/0000.png"),
        ("movie.mp4", "movies", "keys.yaml"),
        ("tracks.npz", "tracks", "frames/0000.png"),
        ("flow/forward.npy", "flow", "movie.mp4"),
        ("alexnet.pth", "weights", "tracks.npz"),
        ("shot.nvd/checkpoint.safetensors", "checkpoint", "alexnet.pth"),
        ("keys.yaml", "keys", "movie.mp4"),
        ("settings.yaml", "settings", "tracks.npz"),
        ("shot.nvd/manifest.json", "manifest", "movie.mkv"),
    ],
)
def test_another_format_than_its_name(base, file, kind, other):
    shutil.copyfile(base / other, base / file)
    refused(base, kind, base / file)


@pytest.mark.parametrize("tag", [b"xxxx", b"\0\0\0\0"])
def test_a_movie_without_a_codec(base, tag):
    path = base / "movie.mp4"
    path.write_bytes(path.read_bytes().replace(b"avc1", tag))
    refused(base, "movies", path)


class TestTiles:
    """tiles.npz may be missing, so a damaged one counts as missing."""

    @pytest.mark.parametrize("columns", [10**9, -1, 0, 7.5])
    def test_what_it_claims_is_not_believed(self, base, columns):
        path = base / "shot.nvd" / "maps" / "tiles.npz"
        with np.load(path) as stored:
            known = dict(stored)
        np.savez(path, **known | {"columns.disc": np.array(columns)})
        assert TileIndex.load(path.parent, LAYERS, FRAMES) is None

    @pytest.mark.parametrize("seed", range(12))
    def test_what_is_rendered_stays_the_same(self, base, tmp_path, seed):
        shot = Shot.open(base / "shot.nvd")
        edit = read_image(shot.edit_path("background"))
        edit[..., :3] = 255 - edit[..., :3]
        shutil.copyfile(base / "paint.png", tmp_path / "edit.png")
        render(shot, tmp_path / "a" / "%05d.png", {"background": tmp_path / "edit.png"})
        arrays.npz(random.Random(seed), base / "shot.nvd" / "maps" / "tiles.npz")
        render(shot, tmp_path / "b" / "%05d.png", {"background": tmp_path / "edit.png"})
        for t in range(FRAMES):
            one, other = (read_image(tmp_path / which / f"{t:05d}.png") for which in "ab")
            np.testing.assert_array_equal(one, other)


class TestNames:
    def test_300_characters(self, base):
        name = "n" * 300
        for call in (
            lambda: list_frames(base / name),
            lambda: read_image(base / f"{name}.png"),
            lambda: Shot.open(base / name),
            lambda: open_clip(base / f"{name}.mp4"),
            lambda: open_clip(base / f"{name}%04d.png"),
        ):
            with pytest.raises(NvdError):
                call()
        shot = str(base / "shot.nvd")
        for words in (
            ["info", str(base / name)],
            ["decompose", str(base / name), "--out", str(base / "a.nvd")],
            ["decompose", str(base / "frames"), "--out", str(base / name)],
            ["render", shot, "--out", str(base / f"{name}.mp4")],
            ["render", shot, "--out", str(base / f"{name}%05d.png")],
            ["render", shot, "--out", str(base / "a.mp4"), "--edit", f"disc={base / name}"],
            ["camera", shot, "--out", str(base / "a.mp4"), "--keys", str(base / name)],
            ["evaluate", shot, "--lpips", str(base / name)],
        ):
            assert main(words) == 2, words

    @pytest.mark.parametrize("pattern", ["%0999d.png", "%099999999999999d.png", "#" * 200 + ".png"])
    def test_a_thousand_digits(self, pattern):
        with pytest.raises(NvdError, match="digits"):
            frame_path(pattern, 0)


class TestFoldersAndFiles:
    """As root no folder refuses to be entered: what is no folder does."""

    @pytest.mark.parametrize(
        ("file", "kind"),
        [(kind.files[0], name) for name, kind in KINDS.items() if name != "commands"],
    )
    def test_a_folder_where_a_file_belongs(self, base, file, kind):
        path = sorted(base.glob(file))[:2][-1]  # of a clip, not its end: that makes a shorter one
        path.unlink()
        path.mkdir()
        if kind in ("tiles", "rendered", "nodes"):
            return  # they may be missing, the last because the EXR is there
        if kind == "masks":  # those that are there are carried to its frame, which is said
            (source,) = load_masks([("disc", path.parent)], open_clip(base / "frames").info)
            number = int(path.stem)
            assert number not in source.given
            assert f": {number} are carried from them" in source.cautions[0]
            return
        with pytest.raises(NvdError):
            read(base, kind, path)

    @pytest.mark.parametrize("folder", ["frames", "maps", "textures", "edits"])
    def test_a_file_where_a_folder_belongs(self, base, folder):
        shutil.rmtree(base / "shot.nvd" / folder)
        (base / "shot.nvd" / folder).write_text("no folder")
        out = str(base / "new" / "%05d.png")
        edit = f"disc={base / 'paint.png'}"
        assert main(["render", str(base / "shot.nvd"), "--out", out, "--edit", edit]) == 2 * (
            folder != "edits"
        )

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is closed to root")
    def test_a_folder_that_may_not_be_entered(self, base):
        (base / "frames").chmod(0)
        try:
            assert main(["decompose", str(base / "frames"), "--out", str(base / "a.nvd")]) == 2
        finally:
            (base / "frames").chmod(0o700)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
    @pytest.mark.parametrize("out", ["/dev/full", "/dev/full/a.mp4", "/dev/full/%05d.png"])
    def test_dev_full(self, base, out):
        assert main(["render", str(base / "shot.nvd"), "--out", out]) == 2


class TestClaims:
    """Files of a few bytes that claim to be huge are refused before memory is taken."""

    @pytest.mark.parametrize("side", [30_000, 2**31 - 1])
    @pytest.mark.parametrize(
        ("file", "kind"),
        [
            ("frames/0000.png", "frames"),
            ("masks/0000.png", "masks"),
            ("paint.png", "images"),
            ("shot.nvd/edits/disc.png", "edits"),
            ("truth/alphas/toy/00000.png", "truth"),
        ],
    )
    def test_a_png(self, base, file, kind, side):
        head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
        data = b"".join(claims._chunk(*chunk) for chunk in chunks)
        (base / file).write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        with pytest.raises(NvdError, match=r"claims a size|cannot read|is not") as caught:
            read(base, kind, base / file)
        assert "memory" not in str(caught.value)

    def test_a_picture_of_one_colour_is_none_of_them(self, tmp_path):
        """The most that PNG can pack is still taken."""
        head = struct.pack(">IIBBBBB", 9000, 9000, 8, 0, 0, 0, 0)
        rows = zlib.compress(bytes(9000 * 9001), 9)
        chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
        data = b"".join(claims._chunk(*chunk) for chunk in chunks)
        (tmp_path / "black.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        assert read_image(tmp_path / "black.png").shape == (9000, 9000, 1)

    def test_an_archive_of_terabytes(self, base):
        file = io.BytesIO()
        form = {"descr": "<f8", "fortran_order": False, "shape": (10**9, 725)}
        np.lib.format.write_array_header_1_0(file, form)
        with zipfile.ZipFile(base / "tracks.npz", "w") as archive:
            for name in ("points", "occluded"):
                archive.writestr(f"{name}.npy", file.getvalue() + bytes(100))
        refused(base, "tracks", base / "tracks.npz", "claims a size")

    def test_an_archive_that_is_packed_too_well(self, base):
        with zipfile.ZipFile(base / "tracks.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("points.npy", bytes(400 << 20))
        refused(base, "tracks", base / "tracks.npz", "claims a size")

    @pytest.mark.parametrize("size", [(2**31 - 1, 2**31 - 1), (65_535, 65_535), (-1, 4)])
    def test_flow(self, base, size):
        path = base / "flo" / "forward" / "000.flo"
        data = bytearray(path.read_bytes())
        struct.pack_into("<ii", data, 4, *size)
        path.write_bytes(data)
        refused(base, "flow", path)

    def test_an_exr(self, base):
        path = base / "shot.nvd" / "maps" / "00001.exr"
        data = bytearray(path.read_bytes())
        place = data.find(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
        struct.pack_into("<4i", data, place, 0, 0, 2**31 - 2, 2**31 - 2)
        path.write_bytes(data)
        refused(base, "maps", path)

    def test_aliases_of_yaml(self, base):
        text = "a: &a [x, x, x, x, x, x, x, x, x]\n"
        for before, this in zip("abcdefgh", "bcdefghi", strict=True):
            text += f"{this}: &{this} [{', '.join([f'*{before}'] * 9)}]\n"
        for kind in ("keys", "settings", "runs"):
            path = base / f"{kind}.yaml"
            path.write_text(text)
            refused(base, kind, path, "aliases")

    def test_millions_of_lists(self):
        with pytest.raises(Unreadable, match="values"):
            parse_json("[" + "[]," * 5_000_000 + "1]")

    def test_an_edit_much_larger_than_its_texture(self, base):
        shot = Shot.open(base / "shot.nvd")
        record = shot.layer("disc")
        assert record.texture_width * record.texture_height * 16 < 5000**2
        rows = zlib.compress(bytes(5000 * 5001), 1)
        head = struct.pack(">IIBBBBB", 5000, 5000, 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", head), (b"IDAT", rows), (b"IEND", b"")]
        data = b"".join(claims._chunk(*chunk) for chunk in chunks)
        shot.edit_path("disc").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        refused(base, "edits", shot.edit_path("disc"), "too large")


def test_networks_of_another_clip(base):
    """camera renders by the networks: they have to be those of the manifest."""
    path = base / "shot.nvd" / "manifest.json"
    with_json(path, "clip", "frames", value=FRAMES - 1)
    words = ["camera", str(base / "shot.nvd"), "--hold", "0", "--out", str(base / "a.mp4")]
    assert main(words) == 2


def test_a_texture_of_another_size(base):
    path = base / "shot.nvd" / "textures" / "disc.png"
    shutil.copyfile(base / "frames" / "0000.png", path)
    refused(base, "edits", path, "not the texture")


class TestMemory:
    def test_what_libraries_say(self):
        for error in (
            MemoryError(),
            np._core._exceptions._ArrayMemoryError((10**6, 10**6), np.dtype("f8")),
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 4294967296 bytes. Error code 12"
            ),
            OSError(12, "Cannot allocate memory"),
        ):
            assert memory.is_out_of_memory(error), error
        assert "4 GB more" in str(memory.out_of_memory(RuntimeError("allocate 4294967296 bytes")))
        for error in (ValueError("out of memory"), RuntimeError("no"), KeyError("memory")):
            assert not memory.is_out_of_memory(error), error

    def test_real_ones(self):
        with pytest.raises(RuntimeError) as caught:
            torch.empty(2**55)
        assert memory.is_out_of_memory(caught.value)
        with pytest.raises(MemoryError) as caught:
            np.empty(2**55)
        assert memory.is_out_of_memory(caught.value)
        assert "GB more" in str(memory.out_of_memory(caught.value))

    @pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v is Linux's")
    def test_a_limit_that_is_too_low(self, base):
        """Below what the libraries need to be loaded: an error, and no signal."""
        words = f"-m nvd_core render {base / 'shot.nvd'} --out {base / 'a.mp4'}"
        command = f"ulimit -v 1000000; {sys.executable} {words}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "memory does not suffice" in done.stderr and "this process may use" in done.stderr


def test_whole_files_are_taken(base):
    for name, kind in KINDS.items():
        for pattern in kind.files[:2]:
            path = next(p for p in sorted(base.glob(pattern)) if p.is_file())
            if name != "commands":
                read(base, name, path)
    assert dataclasses.asdict(Shot.open(base / "shot.nvd").manifest)["clip"]["width"] == WIDTH
    assert open_clip(base / "frames").info.height == HEIGHT
