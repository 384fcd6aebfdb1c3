"""The picture under a mask that is drawn, the frame that the engine is told, and what it decodes:
all are what the Sequencer shows, for movies of any rate.
"""

import json

import bpy
import pytest

from blender_addon.blender import compat
from blender_addon.decompose.mask_drawing import draw_mask
from blender_addon.decompose.strip_job import decompose_strip
from blender_addon.strip.sources import movie_rate

pytestmark = pytest.mark.usefixtures("extension")

RATES = ("24", "25", "30", "60", "30000_1001")
KINDS = (*RATES, "uneven", "jitter")
UNEVEN = (20, 33, 34, 60, 100, 33)
"""milliseconds that pictures show, again and again"""
OFF = (0, 5, -4, 6, 2, -6, 4)
"""milliseconds by which pictures of a phone are off, again and again"""


@pytest.fixture(scope="module")
def clips(tmp_path_factory, engine):
    """Movies of 48 pictures as grey as their number times 4, by rate; two of a variable one."""
    folder = tmp_path_factory.mktemp("rates")
    code = (
        "import av, sys, json, numpy as np\n"
        "from fractions import Fraction\n"
        "folder, rates, uneven, off = sys.argv[1], *map(json.loads, sys.argv[2:])\n"
        "ms = Fraction(1, 1000)\n"
        "times = {r: [round(n * 1000 / Fraction(r.replace('_', '/'))) for n in range(48)]\n"
        "         for r in rates}\n"
        "times['uneven'] = [sum(uneven[k % len(uneven)] for k in range(n)) for n in range(48)]\n"
        "times['jitter'] = [t + off[n % len(off)] for n, t in enumerate(times['30'])]\n"
        "for name, shown in times.items():\n"
        "    rate = Fraction(name.replace('_', '/')) if name in rates else 30\n"
        "    with av.open(f'{folder}/{name}.mkv', 'w') as file:\n"
        "        stream = file.add_stream('ffv1', rate=rate)\n"
        "        stream.width, stream.height, stream.pix_fmt = 32, 16, 'bgr0'\n"
        "        stream.codec_context.time_base = ms\n"
        "        for n, time in enumerate(shown):\n"
        "            grey = np.full((16, 32, 3), 4 * n, np.uint8)\n"
        "            frame = av.VideoFrame.from_ndarray(grey, 'rgb24')\n"
        "            frame.pts, frame.time_base = time, ms\n"
        "            file.mux(stream.encode(frame))\n"
        "        file.mux(stream.encode())\n"
    )
    engine.run("-c", code, folder, *map(json.dumps, (RATES, UNEVEN, OFF)))
    return folder


@pytest.fixture
def space():
    """An Image Editor beside the Sequencer of `timeline.new_scene`."""
    area = bpy.context.window.screen.areas[1]
    area.type = "IMAGE_EDITOR"
    return area.spaces.active


def grey(picture) -> int:
    """Which picture of the movie it is."""
    return round(float(picture[8, 16, 0]) * 255 / 4)


def drawn(space, tmp_path, timeline) -> int:
    """The picture in the editor, by Blender's own code: an Image node with the same user."""
    scene = bpy.data.scenes.new("drawn")
    scene.render.resolution_x, scene.render.resolution_y = 32, 16
    scene.render.dither_intensity, scene.render.compositor_device = 0, "CPU"
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "PNG"
    tree = compat.compositor_tree(scene)
    node = tree.nodes.new("CompositorNodeImage")
    node.image, user = space.image, space.image_user
    for name in ("frame_duration", "frame_start", "frame_offset", "use_cyclic"):
        setattr(node, name, getattr(user, name))
    node.use_auto_refresh = True
    tree.links.new(node.outputs["Image"], compat.compositor_output(tree))
    (tmp_path / "drawn").mkdir(exist_ok=True)
    picture = timeline.show(scene, tmp_path / "drawn", 5)  # another scene's playhead is elsewhere
    bpy.data.scenes.remove(scene)
    return grey(picture)


def imported(engine, job) -> list[int]:
    """The pictures that the engine takes for the job's command, by their numbers."""
    words = job.plan["first_steps"][-1]["command"]
    given = [words[words.index(word) + 1] for word in ("decompose", "--frames", "--count-at")]
    code = (
        "import json, sys\n"
        "from nvd_core.cli.arguments import frame_range, frame_rate\n"
        "from nvd_core.media.clip import Reading, open_clip\n"
        "source, frames, rate = sys.argv[1:]\n"
        "reading = Reading(count_at=frame_rate(rate))\n"
        "clip = open_clip(source, frame_range(frames), reading=reading)\n"
        "print(json.dumps([int(frame[8, 16, 0]) // 4 for frame in clip]))\n"
    )
    return json.loads(engine.run("-c", code, *given).stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_told_and_decoded_are_what_the_sequencer_shows(
    scene, clips, space, tmp_path, engine, timeline, kind
):
    strip = timeline.added(scene, "movie", clips, kind)
    thing = strip.nvd_decompose.objects.add()
    thing.name = "dog"
    start, length = compat.strip_span(strip)
    told = []
    for frame in (start, start + 7, start + length - 2):
        scene.frame_set(frame)
        thing.mask, thing.frame = None, 0
        draw_mask(thing, strip, space)
        shown = grey(timeline.show(scene, tmp_path, frame))
        assert drawn(space, tmp_path, timeline) == shown and thing.frame == frame
        job = decompose_strip(strip, tmp_path / f"{frame}.nvd", [thing.to_object()])
        plan = json.loads((job.folder / "prepare.json").read_text("utf-8"))
        ((at, name),) = plan["masks"][0]["frames"]
        assert at == frame
        told.append((int(name.removeprefix("mask_").removesuffix(".png")), shown))
        job.cancel()
    words = job.plan["first_steps"][-1]["command"]
    first = int(words[words.index("--frames") + 1].partition("-")[0])
    taken = imported(engine, job)
    assert [taken[number - first] for number, _ in told] == [shown for _, shown in told]


def test_the_picture_follows_the_playhead(scene, clips, space, tmp_path, timeline):
    strip = timeline.added(scene, "movie", clips, "60")
    thing = strip.nvd_decompose.objects.add()
    thing.name, thing.when = "dog", "ALL"
    draw_mask(thing, strip, space)
    for frame in (12, 20, 25):
        shown = grey(timeline.show(scene, tmp_path, frame))
        assert drawn(space, tmp_path, timeline) == shown


def test_the_playhead_goes_to_where_a_mask_fits(scene, clips, space, timeline):
    strip = timeline.added(scene, "movie", clips, "25")
    thing = strip.nvd_decompose.objects.add()
    thing.name = "dog"
    scene.frame_set(17)
    draw_mask(thing, strip, space)
    offset = space.image_user.frame_offset
    scene.frame_set(30)
    assert space.image_user.frame_offset != offset
    draw_mask(thing, strip, space)
    assert (scene.frame_current, space.image_user.frame_offset) == (17, offset)
    thing.mask = None
    scene.frame_set(2)  # where the strip does not show yet
    draw_mask(thing, strip, space)
    assert scene.frame_current == thing.frame == compat.strip_span(strip)[0]


def test_two_strips_of_one_file_have_pictures_of_their_own(scene, clips, space, timeline):
    strips = [timeline.added(scene, "movie", clips, "24")]
    other = compat.make_strips(scene).new_movie(
        name="other", filepath=str(clips / "24.mkv"), channel=3, frame_start=1
    )
    strips.append(other)
    scene.frame_set(15)
    for strip in strips:
        thing = strip.nvd_decompose.objects.add()
        thing.name = strip.name
        draw_mask(thing, strip, space)
        place = compat.strip_start(strip)
        assert space.image_user.frame_offset == 15 - round(place)
        scene.frame_set(16)
        assert space.image_user.frame_offset == 16 - round(place)
        scene.frame_set(15)


@pytest.mark.parametrize(
    ("fps", "text"), [(24.0, "24"), (29.970029830932617, "30000/1001"), (12.5, "25/2")]
)
def test_the_rate_is_told_in_digits_that_the_engine_takes(fps, text):
    assert movie_rate(type("Strip", (), {"fps": fps})) == text
    assert movie_rate(type("Strip", (), {"fps": 0.0})) == ""
    top, _, bottom = movie_rate(type("Strip", (), {"fps": 22.886432647705078})).partition("/")
    assert len(top) <= 6 and len(bottom) <= 6
    assert int(top) / int(bottom) == pytest.approx(22.886432647705078, rel=1e-7)
