"""The picture that a strip shows at each frame of the timeline, against Blender's own rendering."""

import bpy
import numpy as np
import pytest
from engine import PYTHON, run_engine
from reference import psnr
from test_strips import movie_strip, show

import blender_addon
from blender_addon.blender import compat
from blender_addon.errors import AddonError
from blender_addon.shot import shots
from blender_addon.strip import strips, timing
from blender_addon.strip.sources import read_strip

COUNT = 48
IMAGES_RETIME = bpy.app.version >= (4, 4, 0)  # before, only movie strips can be retimed


@pytest.fixture(autouse=True)
def extension():
    blender_addon.register()
    yield
    blender_addon.unregister()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Pictures as grey as their number times 4: numbered files, and lossless movies by rate."""
    code = (
        "import av, sys, numpy as np\n"
        "from fractions import Fraction\n"
        "from nvd_core.media.images import write_image\n"
        "pictures = [np.full((16, 32, 3), 4 * n, np.uint8) for n in range(int(sys.argv[2]))]\n"
        "for n, picture in enumerate(pictures):\n"
        "    write_image(f'{sys.argv[1]}/{n:04d}.png', picture)\n"
        "for rate in ('24', '25', '12', '30000/1001', '24000/1001'):\n"
        "    name = f\"{sys.argv[1]}/{rate.replace('/', '_')}.mkv\"\n"
        "    with av.open(name, 'w') as file:\n"
        "        stream = file.add_stream('ffv1', rate=Fraction(rate))\n"
        "        stream.width, stream.height, stream.pix_fmt = 32, 16, 'bgr0'\n"
        "        for picture in pictures:\n"
        "            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')\n"
        "            file.mux(stream.encode(frame))\n"
        "        file.mux(stream.encode())\n"
    )
    where = tmp_path_factory.mktemp("numbered")
    run_engine("-c", code, where, COUNT)
    return where


@pytest.fixture
def scene():
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = 32, 16
    scene.render.fps, scene.render.dither_intensity = 24, 0
    scene.view_settings.view_transform = "Standard"
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGB"
    scene.sequence_editor_create()
    bpy.context.window.screen.areas[0].type = "SEQUENCE_EDITOR"
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = scene
    return scene


def sequencer(name, **values):
    """Press a button of the Sequencer."""
    area = bpy.context.window.screen.areas[0]
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(area=area, region=region):
        assert getattr(bpy.ops.sequencer, name)(**values) == {"FINISHED"}


def added(scene, kind, clip, rate="24"):
    """A strip; a movie as its button adds it, which makes up for another rate than the scene's.

    Without a window Blender 5 crashes at that button: there a movie plays one picture a frame.
    """
    made = compat.make_strips(scene)
    if kind == "image":
        strip = made.new_image(
            name="clip", filepath=str(clip / "0000.png"), channel=1, frame_start=11
        )
        for n in range(1, COUNT):
            strip.elements.append(f"{n:04d}.png")
    elif bpy.app.version >= (5, 0, 0):
        path = str(clip / f"{rate}.mkv")
        strip = made.new_movie(name="clip", filepath=path, channel=1, frame_start=11)
    else:
        sequencer(
            "movie_strip_add", filepath=str(clip / f"{rate}.mkv"), frame_start=11, channel=1,
            sound=False, use_framerate=False, adjust_playback_rate=True,
        )  # fmt: skip
        (strip,) = made
    strip.colorspace_settings.name = "sRGB"
    scene.sequence_editor.active_strip = strip
    strip.select = True
    return strip


def retime(strip, frame, to):
    """Add a retiming key at `frame` of the timeline, and move what it holds to another."""
    sequencer("retiming_key_add", timeline_frame=frame)
    key = next(key for key in strip.retiming_keys if key.timeline_frame == frame)
    key.timeline_frame = to


def check(strip, tmp_path):
    """The mapping is what Blender renders; returns the pictures shown."""
    start, length = compat.strip_span(strip)
    shows = read_strip(strip).shows
    told = [shows[frame] for frame in range(start, start + length)]
    seen = [
        round(show(strip.id_data, tmp_path, frame)[8, 16, 0] * 255 / 4)
        for frame in range(start, start + length)
    ]
    assert told == seen
    return told


@pytest.mark.parametrize("rate", ["24", "25", "12", "30000_1001", "24000_1001"])
def test_a_movie_of_another_rate(scene, clip, tmp_path, rate):
    strip = added(scene, "movie", clip, rate)
    told = check(strip, tmp_path)
    assert timing.is_plain(strip) == (rate == "24") and told[-1] >= COUNT - 3
    compat.trim(strip, 5, 4)
    assert check(strip, tmp_path) == told[5:-4]
    scene.render.fps = 30
    check(strip, tmp_path)


@pytest.mark.parametrize("kind", ["movie", "image"])
def test_cut_hard(scene, clip, tmp_path, kind):
    strip = added(scene, kind, clip)
    strip.animation_offset_start = 6
    sequencer("refresh_all")
    assert check(strip, tmp_path)[0] == 6
    compat.trim(strip, 5, 4)
    sequencer("refresh_all")
    assert timing.is_plain(strip) and check(strip, tmp_path)[0] == 11
    strip.use_reverse_frames = True
    sequencer("refresh_all")
    check(strip, tmp_path)


RETIMED = ["movie", "image"] if IMAGES_RETIME else ["movie"]


@pytest.mark.parametrize("kind", RETIMED)
def test_several_speeds(scene, clip, tmp_path, kind):
    strip = added(scene, kind, clip)
    retime(strip, 30, 25)
    retime(strip, 40, 52)
    told = check(strip, tmp_path)
    steps = np.diff(told)
    assert steps.min() == 0 and steps.max() >= 2 and told[0] == 0 and told[-1] >= COUNT - 2
    compat.trim(strip, 3, 2)
    check(strip, tmp_path)


@pytest.mark.parametrize("kind", RETIMED)
def test_a_freeze_frame(scene, clip, tmp_path, kind):
    strip = added(scene, kind, clip)
    scene.frame_set(30)
    sequencer("retiming_freeze_frame_add", duration=6)
    assert check(strip, tmp_path).count(19) >= 6


@pytest.mark.parametrize("kind", ["movie", "image"])
def test_constant_speed_reversed_and_strobe(scene, clip, tmp_path, kind):
    strip = added(scene, kind, clip)
    if kind in RETIMED:
        sequencer("retiming_segment_speed_set", speed=50)
        assert len(check(strip, tmp_path)) > 80
    strip.use_reverse_frames = True
    sequencer("refresh_all")  # 5.2 keeps pictures from before
    assert check(strip, tmp_path)[0] > 40
    strip.strobe = 3
    sequencer("refresh_all")
    check(strip, tmp_path)


def test_where_masks_are_drawn(scene, clip):
    """A frame that shows the picture, or comes nearest to it."""
    strip = added(scene, "movie", clip)
    retime(strip, 31, 21)
    source = read_strip(strip)
    assert source.timeline_frame(20) == 21 and source.picture_at(21) == 20
    for picture in (10, 30):
        assert abs(source.shows[source.timeline_frame(picture)] - picture) <= 1


def test_what_blender_does_not_tell_is_said(scene, clip):
    other = bpy.data.scenes.new("other")
    strip = compat.make_strips(scene).new_scene(name="s", scene=other, channel=1, frame_start=1)
    assert read_strip(strip).shows[3] == 2
    strip.use_reverse_frames = True
    with pytest.raises(AddonError, match="scene strip s does not play at normal speed"):
        read_strip(strip)


def test_following_the_playhead_never_renders(scene, clip):
    strip = added(scene, "movie", clip, "25")
    timing._known.clear()
    with pytest.raises(AddonError, match="off and on"):
        strips.source_frame(strip, 12)
    read_strip(strip)
    assert strips.source_frame(strip, 11) == 0 and strips.source_frame(strip, 5) == -1


def test_the_rendered_strip_shows_the_same(scene, folder, tmp_path):
    scene.render.resolution_x, scene.render.resolution_y = 160, 90
    strip = movie_strip(scene, folder, tmp_path / "plate.mkv")
    scene.sequence_editor.active_strip = strip
    strip.select = True
    sequencer("retiming_segment_speed_set", speed=20)
    retime(strip, 14, 18)
    entry = shots.add_shot(folder, scene, strip=strip.name)
    start, length = compat.strip_span(strip)
    assert length > 5
    before = [show(scene, tmp_path, frame) for frame in range(start, start + length)]
    made = strips.render_to_strip(entry, scene, PYTHON)
    assert compat.strip_span(made) == (start, length)
    strip.mute = True
    after = [show(scene, tmp_path, frame) for frame in range(start, start + length)]
    assert min(psnr(*pair) for pair in zip(before, after, strict=True)) > 30
    assert psnr(before[0], before[-1]) < 15, "the frames differ, so another one would show"
    for other in (strips.add_scene_strip, strips.add_modifier):
        with pytest.raises(AddonError, match=r"normal speed|no compositor"):
            other(entry, scene)
    assert not np.array_equal(before[0], before[-1])
