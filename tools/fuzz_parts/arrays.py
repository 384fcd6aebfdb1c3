"""Damage that keeps a file's format and breaks its sense: shapes, types, names and values."""

import io
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import torch

HUGE = [(2**40,), (10**9, 3), (2**31, 2**31), (10**6, 10**6, 10**6), (2**63 - 1,)]


def npy(chosen: random.Random, path: Path) -> None:
    """An array of another shape, type or value, or a header that says so."""
    path.write_bytes(_npy(chosen, np.load(path)))


def _npy(chosen: random.Random, array: np.ndarray) -> bytes:
    if chosen.random() < 0.4:
        return _header(chosen, array)
    array = np.array(array) if np.ndim(array) else np.array(array)[None]
    act = chosen.randrange(9)
    if act == 0 and array.dtype.kind == "f":
        array.reshape(-1)[chosen.randrange(array.size)] = chosen.choice((np.nan, np.inf, -np.inf))
    elif act == 1:
        array = array[..., None] if chosen.random() < 0.5 else array.reshape(-1)
    elif act == 2:
        array = array[:0]
    elif act == 3:
        array = array[:-1] if chosen.random() < 0.5 else np.concatenate([array, array])
    elif act == 4:
        kinds = ("f8", "f4", "i8", "u1", "?", "U3", "c8", "M8[s]", "f2")
        array = array.astype(chosen.choice(kinds)) if array.dtype.kind != "M" else array
    elif act == 5:
        array = np.array(chosen.choice((1.0, -1, 10**9)))
    elif act == 6:
        array = np.asfortranarray(array).swapaxes(0, -1) if array.ndim else array
    elif act == 7 and array.dtype.kind in "iu":
        array.reshape(-1)[:1] = chosen.choice((0, np.iinfo(array.dtype).max))
    else:
        array = np.zeros(3, [("a", "f4"), ("b", "i8")])
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _header(chosen: random.Random, array: np.ndarray) -> bytes:
    """The array's bytes behind a header of another."""
    shape = chosen.choice([*HUGE, (), (0,), (-1, 3), array.shape[::-1], (*array.shape, 2)])
    descr = chosen.choice(
        [array.dtype.str] * 3 + ["|O", "<f8", "|V8", "x", "<U2000000000", [("a", "|O")]]
    )
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    text = chosen.choice(
        [text] * 5 + ["{", "(" * 3000, text + " " * 20_000, "{'descr': 1}", "\xff"]
    )
    version = chosen.choice([b"\x01\x00"] * 4 + [b"\x02\x00", b"\x03\x00", b"\x09\x00"])
    raw = text.encode("latin1")
    length = chosen.choice([len(raw)] * 4 + [0, 65_535])
    packed = struct.pack("<H" if version[:1] == b"\x01" else "<I", length)
    return b"\x93NUMPY" + version + packed + raw + array.tobytes()


def npz(chosen: random.Random, path: Path) -> None:
    """An archive of which one array is damaged, missing, packed too well, or under a password."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    victim = chosen.choice(list(arrays))
    act = chosen.randrange(6)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            file = io.BytesIO()
            np.save(file, array)
            data = file.getvalue()
            if name == victim and act == 0:
                continue
            if name == victim and act == 1:
                archive.writestr(f"{name}.npy", data, zipfile.ZIP_LZMA)
                archive.writestr(f"{name}.npy", data)
                continue
            if name == victim and act == 2:
                packed = data + bytes(chosen.choice((10**6, 80 << 20)))
                archive.writestr(f"{name}.npy", packed, zipfile.ZIP_DEFLATED)
                continue
            if name == victim and act > 2:
                data = _npy(chosen, array)
                if name.startswith("columns") and chosen.random() < 0.5:
                    data = _saved(np.array(chosen.choice((10**9, -1, 0, 2**62, 7.5))))
            archive.writestr(f"{name}.npy", data)
    if chosen.random() < 0.2:
        raw = bytearray(path.read_bytes())
        raw[6 if chosen.random() < 0.5 else raw.rfind(b"PK\x01\x02") + 8] ^= 1  # encrypted
        path.write_bytes(raw)


def _saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def safetensors(chosen: random.Random, path: Path) -> None:
    """A header that claims something else, a tensor that is missing, empty, renamed or NaN."""
    raw = path.read_bytes()
    (length,) = struct.unpack_from("<Q", raw)
    header, data = json.loads(raw[8 : 8 + length]), bytearray(raw[8 + length :])
    names = [name for name in header if name != "__metadata__"]
    name = chosen.choice(names)
    act = chosen.randrange(9)
    if act == 0:
        path.write_bytes(struct.pack("<Q", chosen.choice((2**60, 2**63, 10**9, 0))) + raw[8:])
        return
    if act == 1:
        begin, end = header[name]["data_offsets"]
        data[begin:end] = b"\xff" * (end - begin)
    elif act == 2:
        header[name]["shape"] = list(chosen.choice(HUGE))
    elif act == 3:
        header[chosen.choice(("x", name.replace(".0.", ".9."), "\u20ac" * 50))] = header.pop(name)
    elif act == 4:
        header[name] |= {"shape": [0], "data_offsets": [0, 0]}
    elif act == 5:
        header[name]["dtype"] = chosen.choice(("F64", "I64", "BF16", "x", "BOOL", "F8_E4M3"))
    elif act == 6:
        odd: list[dict] = [{}, {"version": "2"}, {"version": "1", "step": "-3"}, {"step": "1"}]
        odd += [{"version": "2", "step": "x"}, {"version": "9" * 300}]
        header["__metadata__"] = chosen.choice(odd)
    elif act == 7:
        header[name]["data_offsets"] = chosen.choice(([0, 2**63], [5, 1], [-1, 3], [0, 1], "x"))
    else:
        header[name]["shape"] = [*header[name]["shape"][::-1], 1]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))


def pth(chosen: random.Random, path: Path) -> None:
    """Weights of other shapes or values, another object, or a damaged archive."""
    act = chosen.randrange(4)
    if act == 0:
        _repacked(chosen, path)
        return
    state = torch.load(path, weights_only=True)
    name = chosen.choice(list(state))
    tensors: list[object] = [
        torch.zeros(0), torch.tensor(float("nan")), state[name] * float("inf"), state[name][None],
        torch.ones(1).expand(2**20, 2**20), torch.ones(1).expand(64, 3, 2**15, 2**15), "text", None,
        state[name].to(torch.int8), state[name].double(), torch.eye(3).to_sparse(), [1, 2],
    ]  # fmt: skip
    if act == 1:
        del state[name]
    else:
        state[name] = chosen.choice(tensors)
    saved = chosen.choice([state] * 6 + [[1], torch.zeros(3), "x", {1: 2}, {"a": state}])
    torch.save(saved, path, _use_new_zipfile_serialization=chosen.random() < 0.7)


def _repacked(chosen: random.Random, path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    victim = chosen.choice([name for name in parts if name.endswith(("pkl", "/0", "version"))])
    act = chosen.randrange(4)
    if act == 0:
        del parts[victim]
    elif act == 1:
        parts[victim][chosen.randrange(len(parts[victim]))] ^= 0xFF
    elif act == 2:
        parts[victim] = parts[victim][: len(parts[victim]) // 2]
    how = zipfile.ZIP_DEFLATED if act == 3 else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in parts.items():
            archive.writestr(name, bytes(data) + bytes(50 << 20) * (act == 3 and name == victim))


def exr(chosen: random.Random, path: Path) -> None:
    """Maps or a picture of another size, with other channels, or with NaN."""
    buffer = oiio.ImageBuf(str(path))
    pixels = np.array(buffer.get_pixels("float"))
    names = list(buffer.spec().channelnames)
    compression = chosen.choice(("pxr24", "pxr24", "zip", "rle", "none", "piz", "b44a"))
    act = chosen.randrange(6)
    if act == 0:
        place = tuple(chosen.randrange(side) for side in pixels.shape)
        pixels[place] = chosen.choice((np.nan, np.inf, -np.inf, 3e38))
    elif act == 1:
        pixels = pixels[: chosen.randrange(1, len(pixels))]
    elif act == 2:
        kept = sorted(chosen.sample(range(len(names)), chosen.randrange(1, len(names))))
        pixels, names = pixels[..., kept], [names[k] for k in kept]
    elif act == 3:
        names[chosen.randrange(len(names))] = chosen.choice(("x", "a" * 250, "disc.Map.Q", "Z"))
    elif act == 4:
        pixels[:] = chosen.choice((np.nan, 1e30, -1e30))
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, chosen.choice(("half", "float", "uint")))
    spec.channelnames = tuple(names)
    spec.attribute("compression", compression)
    if act == 5:
        spec.full_width, spec.full_height = chosen.choice(
            ((1, 1), (2**20, 2**20), (width, 2 * height))
        )
    output = oiio.ImageOutput.create(str(path))
    if output.open(str(path), spec):
        output.write_image(np.ascontiguousarray(pixels))
    output.close()
