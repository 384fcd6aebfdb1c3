"""Movies by every name they have, and pictures that move."""

import av
import numpy as np
import pytest

from nvd_core.media.clip import open_clip

T, H, W = 6, 48, 64

MOVIES = {
    "a.ts": ("libx264", "yuv420p"),
    "a.mts": ("libx264", "yuv420p"),
    "a.m2ts": ("mpeg2video", "yuv420p"),
    "a.wmv": ("wmv2", "yuv420p"),
    "a.3gp": ("libx264", "yuv420p"),
    "a.y4m": ("wrapped_avframe", "yuv420p"),
    "a.mxf": ("mpeg2video", "yuv420p"),
    "a.gif": ("gif", "rgb8"),
    "a.apng": ("apng", "rgb24"),
    "moves.png": ("apng", "rgb24"),
}


def level(t):
    return 20 + 35 * t


def write_movie(path, codec, layout):
    formats = {".mts": "mpegts", ".m2ts": "mpegts", ".y4m": "yuv4mpegpipe", ".png": "apng"}
    with av.open(str(path), "w", format=formats.get(path.suffix)) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = W, H, layout
        for t in range(T):
            pixels = np.full((H, W, 3), level(t), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=layout)
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", MOVIES)
def test_all_frames_of_every_kind_of_movie(tmp_path, name):
    clip = open_clip(write_movie(tmp_path / name, *MOVIES[name]))
    frames = [float(frame[..., 1].mean()) for frame in clip]
    tolerance = 20 if name.endswith("gif") else 4  # rgb8 has eight greens
    assert frames == pytest.approx([level(t) for t in range(T)], abs=tolerance)
