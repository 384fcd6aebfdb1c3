"""The kernel of a draft's movie: near the exact one, and its planes near FFmpeg's."""

from fractions import Fraction

import av
import numpy as np
import pytest
import torch

from nvd_core.cli.main import main
from nvd_core.editing.kernel_draft import DRAFT_ERROR, draft_texels, render_draft
from nvd_core.editing.kernel_nodes import NodeMaps
from nvd_core.editing.kernel_numba import pack_textures
from nvd_core.editing.kernel_torch import composed, to_device
from nvd_core.editing.render import render_frames
from nvd_core.media.codecs import DRAFT
from nvd_core.media.draft import Draft, weights_of
from nvd_core.media.images import read_image, write_image
from nvd_core.media.movie_tags import FULL, MovieTags
from nvd_core.media.movies import SCALING
from nvd_core.media.writer import open_writer
from nvd_core.runtime.progress import Progress
from nvd_core.shot.map_forms import compact
from nvd_core.shot.maps import FrameMaps, LayerMaps
from nvd_core.shot.node_decode import pack
from nvd_core.shot.node_fit import fitted
from nvd_core.shot.node_maps import full_maps

HEIGHT, WIDTH = 70, 94  # even, and no whole tiles
TEXTURES = [(300, 200), (500, 400)]


def frame_of(light=1.0):
    """Two objects in one layer with a gap between them, soft edges, and what is behind."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    near = [np.clip((14 - np.hypot(x - middle, y - 30)) / 4, 0, 1) for middle in (18, 74)]
    front = np.maximum(*near).astype(np.float32)
    layers = []
    for n, alpha in enumerate((front, 1 - front)):
        u = 0.5 + 0.5 * np.sin(x / 60 + n + np.sin(y / 40))
        v = 0.5 + 0.5 * np.cos(y / 50 - x / 95)
        lit = light * (1 + 0.3 * np.stack([np.sin(x / 30), np.cos(y / 20), np.sin(x / 40)], -1))
        u, v = (np.where(alpha > 0, value, 0).astype(np.float32) for value in (u, v))
        lit[alpha == 0] = 1
        layers.append(LayerMaps(u, v, alpha, lit.astype(np.float32), TEXTURES[n]))
    return fitted(layers)


def deltas(seed, painted=1.0):
    """Texels as far from each other as they can be, in a part of the texture."""
    random = np.random.default_rng(seed)
    width, height = TEXTURES[seed]
    made = random.uniform(-1, 1, (height, width, 3)).astype(np.float32)
    made[int(height * painted) :] = 0
    return made


def painted(frame, nodes, textures, draft, amounts=((1, 1), (1, 1))):
    """What the kernel makes of layers 0 and 1."""
    deltas_ = pack_textures(textures, crop=True)
    maps = NodeMaps(pack(nodes), np.arange(2), *np.array(amounts, np.float32).T.copy())
    return render_draft(frame, maps, deltas_, draft_texels(deltas_), draft)


def twin(frame, nodes, textures, amounts=((1, 1), (1, 1))):
    """The same in float64, not yet rounded, and how bright the light is at most."""
    uva, light = full_maps(nodes)
    for n, (visibility, strength) in enumerate(amounts):
        uva[n, ..., 2] *= visibility
        light[n] = (light[n] - 1) * strength + 1
    tensors = to_device(textures, "cpu", torch.float64)
    change = composed(FrameMaps(uva, light), tensors).numpy()
    return (frame + 255 * change).clip(0, 255), max(light.max(), 1)


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize("share", [1.0, 0.1])  # looked up everywhere, and where it is painted
@pytest.mark.parametrize("light", [0.7, 4.0])
@pytest.mark.parametrize("amounts", [((1, 1), (1, 1)), ((0.6, 1), (1, 0.3))])
def test_colours_are_near_those_of_the_float64_twin(frame, share, light, amounts):
    nodes = frame_of(light)
    textures = {0: deltas(0, share), 1: deltas(1, share)}
    found = painted(frame, nodes, textures, Draft(), amounts)
    expected, brightest = twin(frame, nodes, textures, amounts)
    off = np.abs(found - expected)
    assert off.max() <= 0.5 + DRAFT_ERROR * brightest
    assert np.sqrt((off**2).mean()) < 0.6 * brightest
    untouched = expected == frame
    np.testing.assert_array_equal(found[untouched], frame[untouched])
    assert untouched.mean() > 0.2 if share < 1 else untouched.mean() < 0.2


def test_texels_that_words_do_not_hold_are_left_to_the_exact_kernel():
    large = deltas(0)
    large[3, 5, 1] = 1.01
    assert draft_texels(pack_textures({0: large}, crop=True)) is None
    large[3, 5, 1] = np.nan
    assert draft_texels(pack_textures({0: large}, crop=True)) is None
    large[3, 5] = -1, 1, 0
    assert draft_texels(pack_textures({0: large}, crop=True)) is not None


TAGS = [MovieTags(), MovieTags(matrix=6), MovieTags(matrix=9, range=FULL)]


@pytest.mark.parametrize("tags", TAGS)
def test_planes_are_what_ffmpeg_makes_of_the_colours(tags):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    smooth = np.stack([120 + 100 * np.sin(x / 25), 2 * y + 60, 255 - 2 * x], -1).astype(np.uint8)
    nodes, textures = frame_of(), {0: deltas(0) / 1000, 1: deltas(1) / 1000}
    planes = painted(smooth, nodes, textures, Draft(weights_of(tags))).values
    video = av.VideoFrame.from_ndarray(painted(smooth, nodes, textures, Draft()), "rgb24")
    made = video.reformat(
        format="yuv420p",
        dst_colorspace=tags.matrix,
        dst_color_range=tags.range,
        interpolation=SCALING,
    )
    off = planes.astype(int) - made.to_ndarray()
    assert np.abs(off[:HEIGHT]).max() <= 1
    assert np.abs(off[HEIGHT:]).max() <= 4 and np.abs(off[HEIGHT:]).mean() < 0.6


def test_only_a_draft_takes_planes_and_only_of_its_size(tmp_path):
    planes = painted(np.zeros((HEIGHT, WIDTH, 3), np.uint8), frame_of(), {0: deltas(0)}, draft())
    as_draft = {"rate": Fraction(24), "quality": DRAFT}
    assert open_writer(tmp_path / "a.mp4", WIDTH, HEIGHT, Fraction(24)).draft is None
    assert open_writer(tmp_path / "a.mkv", WIDTH, HEIGHT, codec="ffv1", **as_draft).draft is None
    assert open_writer(tmp_path / "%d.png", WIDTH, HEIGHT, **as_draft).draft is None
    assert open_writer(tmp_path / "a.mp4", WIDTH, HEIGHT - 1, **as_draft).draft.weights is None
    for height, quality in ((HEIGHT, None), (HEIGHT + 2, DRAFT)):
        with (
            pytest.raises(ValueError, match="planes"),
            open_writer(tmp_path / "b.mp4", WIDTH, height, Fraction(24), quality=quality) as writer,
        ):
            writer.write(0, planes)


def draft():
    return Draft(weights_of(MovieTags()))


def test_a_drafts_movie_is_that_of_exact_frames(tmp_path, synthetic):
    shot = synthetic.make_shot(tmp_path / "shot.nvd")
    compact(shot, Progress())
    for name in shot.names:
        image = read_image(shot.texture_path(name))
        image[: len(image) // 2, :, :3] = 255 - image[: len(image) // 2, :, :3]
        write_image(shot.edit_path(name), image)
    words = ["--out", str(tmp_path / "draft.mp4"), "--quality", "draft"]
    assert main(["render", str(shot.folder), *words]) == 0
    clip = shot.manifest.clip
    rate, out = Fraction(*clip.rate), tmp_path / "exact.mp4"
    with open_writer(out, clip.width, clip.height, rate, quality=DRAFT) as writer:
        for t, frame in enumerate(render_frames(shot)):
            writer.write(t, frame)
    draft, exact = (decoded(tmp_path / f"{name}.mp4") for name in ("draft", "exact"))
    assert len(draft) == shot.frames
    # so small a picture of noise is mostly what the codec makes of it
    assert np.sqrt(((draft - exact) ** 2).mean()) < 5
    plain = np.stack([read_image(shot.frame_path(t)) for t in range(shot.frames)])
    assert np.sqrt(((draft - plain) ** 2).mean()) > 20


def decoded(path):
    with av.open(str(path)) as movie:
        return np.stack([f.to_ndarray(format="rgb24").astype(float) for f in movie.decode(video=0)])
