"""Strips in the Sequencer: made, retimed, shown by Blender, compared with the mapping."""

import bpy

from blender_addon.blender import compat
from blender_addon.strip.sources import read_strip
from helpers.blender.engine import run
from helpers.blender.reference import load

COUNT = 48
"""pictures of the numbered clip"""


def write_numbered_clip(folder):
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
    run("-c", code, folder, COUNT)


def new_scene():
    """The file's scene, set to render the numbered clip's pictures as they are."""
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


def image_strip(scene, folder, start=10):
    made = compat.make_strips(scene)
    strip = made.new_image(
        name="plate", filepath=str(folder / "frames/00000.png"), channel=2, frame_start=start
    )
    for t in (1, 2):
        strip.elements.append(f"{t:05d}.png")
    return strip


def movie_strip(scene, folder, path, rate=24, start=10):
    """The frames as a movie of `rate`, by Blender itself, as a strip."""
    maker = bpy.data.scenes.new("maker")
    render = maker.render
    image_strip(maker, folder, 1)
    render.resolution_x, render.resolution_y, render.fps = 160, 90, rate
    maker.frame_start, maker.frame_end = 1, 3
    maker.view_settings.view_transform = "Standard"
    compat.output_kind(render.image_settings, "FFMPEG")
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.gopsize = "MKV", "FFV1", 1
    render.filepath = str(path)
    bpy.ops.render.render(animation=True, scene=maker.name)
    bpy.data.scenes.remove(maker)
    made = compat.make_strips(scene)
    return made.new_movie(name="plate", filepath=str(path), channel=1, frame_start=start)


def show(scene, tmp_path, frame):
    scene.frame_set(frame)
    scene.render.filepath = str(tmp_path / f"seen_{frame}.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return load(tmp_path / f"seen_{frame}.png")


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
