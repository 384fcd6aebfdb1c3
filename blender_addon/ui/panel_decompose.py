"""The Sequencer's sidebar tab "Layers": decompose the active strip, and watch the jobs."""

import os

import bpy
import bpy.utils.previews

from ..blender.compat import sequencer_scene, strip_span
from ..blender.problems import draw_lines, draw_problem
from ..blender.words import translated
from ..decompose import clicking
from ..decompose.better_masks import is_outlined
from ..decompose.eye import from_text, on_timeline, runs
from ..decompose.opening import OPENED, finished_jobs
from ..decompose.properties import active_strip, source_options
from ..decompose.strip_job import shows_exr
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.job import DONE, PENDING, RUNNING, Job
from ..jobs.runner import describe, runner
from ..strip.sources import read_strip
from ..strip.timing import KINDS, known_pictures

CATEGORY = "Layers"
DOUBTFUL = 0.5
"""confidence below which an object that was found gets a warning"""
MOST_SHOWN = 24
"""runs of frames that need an eye for which there are buttons"""
_pictures = None  # previews of running jobs, made in register()


class NVD_UL_objects(bpy.types.UIList):
    """The objects, front to back."""

    def draw_item(self, _context, layout, _data, item, _icon, _active, _name):
        icons = {"MASK": "MOD_MASK", "STRIP": "SEQUENCE", "FILE": "FILE_FOLDER"}
        picture = _thumbnail(item)
        icon = {"icon_value": picture} if picture else {"icon": icons[item.kind]}
        layout.prop(item, "name", text="", emboss=False, **icon)
        if item.needs_eye:
            layout.label(text="", icon="HIDE_OFF")


class _InSequencer:
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY


class NVD_PT_decompose(_InSequencer, bpy.types.Panel):
    bl_label = "Decompose"
    bl_idname = "NVD_PT_decompose"

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        scene = sequencer_scene(context)
        editor = scene.sequence_editor
        strip = editor.active_strip if editor else None
        if strip is None or strip.type not in KINDS:
            layout.label(text="Select a movie, image or scene strip", icon="INFO")
            return
        start, shown = strip_span(strip)
        words = {"strip": strip.name, "count": shown, "start": start}
        said = translated("{strip}: {count} frames from {start}", **words)
        layout.label(text=said, icon="SEQUENCE")
        settings, own = scene.nvd_decompose, strip.nvd_decompose
        layout.prop(own, "out")
        layout.prop(settings, "preset")
        layout.prop(settings, "at_once")
        if shows_exr(strip):
            layout.prop(own, "layer")
        _draw_objects(layout, scene, own)
        try:
            find_engine()
        except AddonError as error:
            draw_problem(layout, error)
            return
        if not own.out and not bpy.data.filepath:
            unsaved = AddonError(
                "the file has not been saved", "save it, or choose a folder", "wm.save_mainfile"
            )
            draw_problem(layout, unsaved)
            return
        row = layout.row()
        row.scale_y = 1.4
        row.operator("nvd.decompose", icon="RENDERLAYERS")


class Folded(_InSequencer):
    """A part of the panel that most strips leave as it is."""

    bl_parent_id = "NVD_PT_decompose"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012
    bl_order = 2

    @classmethod
    def poll(cls, context):
        return active_strip(sequencer_scene(context)) is not None


class NVD_PT_size(Folded, bpy.types.Panel):
    bl_label = "Size and Device"
    bl_idname = "NVD_PT_size"

    def draw(self, context):
        layout, settings = self.layout, sequencer_scene(context).nvd_decompose
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("height", "plate_height", "texture_size", "device", "settings"):
            layout.prop(settings, name)


class NVD_PT_source(Folded, bpy.types.Panel):
    bl_label = "Source"
    bl_idname = "NVD_PT_source"

    def draw(self, context):
        layout, strip = self.layout, active_strip(sequencer_scene(context))
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in source_options(strip):
            layout.prop(strip.nvd_decompose, name)


class NVD_PT_jobs(_InSequencer, bpy.types.Panel):
    bl_label = "Jobs"
    bl_idname = "NVD_PT_jobs"

    @classmethod
    def poll(cls, _context):
        return bool(runner.queue.jobs or runner.damaged or runner.trouble)

    def draw(self, context):
        if runner.trouble is not None:
            draw_problem(self.layout, runner.trouble)
        for id, problem in runner.damaged.items():
            row = self.layout.row()
            draw_problem(row, problem)
            row.operator("nvd.forget_job", text="", icon="X").job = id
        scene = sequencer_scene(context)
        mine, folded = runner.jobs_of(scene), finished_jobs(scene)
        for job in mine:
            if job not in folded:
                _draw_job(self.layout, job)
        others = sum(not job.ended for job in runner.queue.jobs if job not in mine)
        if others:
            self.layout.label(
                text=translated("Of other scenes and files: {count}", count=others), icon="INFO"
            )


class NVD_PT_finished_jobs(_InSequencer, bpy.types.Panel):
    bl_label = "Finished"
    bl_idname = "NVD_PT_finished_jobs"
    bl_parent_id = "NVD_PT_jobs"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 (Blender wants a set)

    @classmethod
    def poll(cls, context):
        return bool(finished_jobs(sequencer_scene(context)))

    def draw_header_preset(self, _context):
        self.layout.operator("nvd.clear_jobs", text="Clear", emboss=False)

    def draw(self, context):
        for job in finished_jobs(sequencer_scene(context)):
            _draw_job(self.layout, job)


def _draw_objects(layout, scene, settings) -> None:
    layout.label(text="Objects, front to back")
    row = layout.row()
    row.template_list("NVD_UL_objects", "", settings, "objects", settings, "active", rows=3)
    column = row.column(align=True)
    column.operator("nvd.add_object", text="", icon="ADD")
    column.operator("nvd.remove_object", text="", icon="REMOVE")
    column.operator("nvd.move_object", text="", icon="TRIA_UP").by = -1
    column.operator("nvd.move_object", text="", icon="TRIA_DOWN").by = 1
    column.operator("nvd.merge_object", text="", icon="AUTOMERGE_ON")
    layout.operator("nvd.find_objects", icon="VIEWZOOM")
    if not settings.objects:
        layout.label(text="None: what moves is found by itself", icon="INFO")
        return
    if not 0 <= settings.active < len(settings.objects):
        return
    thing = settings.objects[settings.active]
    _draw_finding(layout, thing)
    draw_mask(layout, scene, thing)
    layout.prop(settings, "mask_margin")
    layout.prop(thing, "windows")


def draw_mask(layout, scene, thing, part: bool = False) -> None:
    """Where the mask of an object, or of a `part`, comes from, and its frames that need an eye."""
    _draw_eyes(layout, scene, thing, part)
    layout.prop(thing, "kind")
    if thing.kind == "MASK":
        row = layout.row(align=True)
        row.prop(thing, "mask")
        draw = row.operator("nvd.draw_mask", text="Draw" if thing.mask is None else "Edit")
        draw.part = part
        row.operator("nvd.click_mask", text="Click", icon="RESTRICT_SELECT_OFF").part = part
        if not thing.clicks and not is_outlined(thing.mask):
            column = layout.column(align=True)
            column.label(text="Click on it; or draw, then Ctrl-click around it", icon="INFO")
            column.label(text="in the Image Editor; Alt-C closes the line", icon="BLANK1")
        layout.prop(thing, "when", expand=True)
        if thing.when == "ONE":
            layout.prop(thing, "frame")
    elif thing.kind == "STRIP":
        editor = scene.sequence_editor
        collection = "strips" if hasattr(editor, "strips") else "sequences"
        layout.prop_search(thing, "strip", editor, collection, icon="SEQUENCE")
    else:
        layout.prop(thing, "path")
    if thing.clicks:
        _draw_clicks(layout, scene, thing, part)


def _draw_clicks(layout, scene, thing, part: bool) -> None:
    """How many clicks a mask is of, and how far the job is that makes it of them."""
    row = layout.row(align=True)
    said = translated("Clicks: {count}", count=len(thing.clicks))
    row.label(text=said, icon="RESTRICT_SELECT_OFF")
    row.operator("nvd.forget_clicks", text="", icon="X").part = part
    job = clicking.job_of(thing, active_strip(scene))
    if job is None:
        return
    if job.error is not None:
        draw_problem(layout, job.error)
    elif not job.ended:
        layout.progress(factor=job.log.fraction, text=job.log.stage or "starting")


def _draw_finding(layout, thing) -> None:
    """What is known of an object that was found."""
    if thing.found:
        picture = _thumbnail(thing)
        if picture:
            layout.template_icon(icon_value=picture, scale=5.0)
        words = {"seen": thing.seen, "moves": thing.moves, "sure": round(100 * thing.confidence)}
        said = translated("Seen in {seen} frames, moves in {moves}; {sure} % sure", **words)
        layout.label(text=said, icon="INFO" if thing.confidence >= DOUBTFUL else "ERROR")


def _draw_eyes(layout, scene, thing, part: bool) -> None:
    """Frames that need an eye, and further ones that are drawn."""

    def to_eye(row, **words):
        button = row.operator("nvd.to_eye", **words)
        button.part = part
        return button

    if thing.needs_eye:
        box = layout.box()
        count = len(from_text(thing.needs_eye))
        row = box.row(align=True)
        row.label(text=translated("Needs your eye: {count} frames", count=count), icon="HIDE_OFF")
        to_eye(row, text="", icon="TRIA_LEFT").by = -1
        to_eye(row, text="", icon="TRIA_RIGHT").by = 1
        grid = box.grid_flow(row_major=True, columns=4, align=True)
        for first, last in _eyes(scene, thing)[:MOST_SHOWN]:
            text = str(first) if first == last else f"{first} - {last}"
            to_eye(grid, text=text, translate=False).frame = first
    drawn = thing.kind == "MASK" and thing.when == "ONE" and is_outlined(thing.mask)
    if thing.needs_eye or thing.keys_drawn or (part and drawn):
        row = layout.row(align=True)
        row.operator("nvd.draw_key", icon="GREASEPENCIL").part = part
        here = row.operator("nvd.click_mask", text="Click Here", icon="RESTRICT_SELECT_OFF")
        here.part = part
    for key in thing.keys_drawn:
        row = layout.row(align=True)
        said = translated("Drawn on frame {frame}", frame=key.frame)
        to_eye(row, text=said, icon="MOD_MASK", emboss=False).frame = key.frame
        gone = row.operator("nvd.remove_key", text="", icon="X")
        gone.part, gone.frame = part, key.frame


def _eyes(scene, thing) -> list[tuple[int, int]]:
    """First and last frame on the timeline of each run that needs an eye."""
    strip = active_strip(scene)
    try:
        source = read_strip(strip, known_pictures)
    except AddonError:  # its files have gone
        return []
    return runs(on_timeline(from_text(thing.needs_eye), source))


def _thumbnail(thing) -> int:
    """The icon of an object that was found, 0 where there is none."""
    if not thing.found or _pictures is None:
        return 0
    name = os.path.basename(bpy.path.abspath(thing.path).rstrip("/\\"))
    path = os.path.join(thing.found, "thumbnails", f"{name}.png")
    if not os.path.isfile(path):
        return 0
    key = f"{path} {os.stat(path).st_mtime_ns}"
    if key not in _pictures:
        _pictures.load(key, path, "IMAGE")
    return _pictures[key].icon_id


def _draw_job(layout, job: Job) -> None:
    box = layout.box()
    row = box.row()
    row.label(text=job.title, icon="CHECKMARK" if job.state == DONE else "RENDERLAYERS")
    if job.state in (PENDING, RUNNING):
        row.operator("nvd.cancel_job", text="", icon="CANCEL").job = job.id
    else:
        row.operator("nvd.show_log", text="", icon="TEXT").job = job.id
        row.operator("nvd.forget_job", text="", icon="X").job = job.id
    if job.state == RUNNING:
        picture = _picture(job)
        if picture:
            box.template_icon(icon_value=picture, scale=8.0)
        box.progress(factor=job.log.fraction, text=job.log.stage or "starting")
        box.label(text=describe(job))
        if job.log.ready is not None:
            box.operator("nvd.open_job", icon="NODE_COMPOSITING").job = job.id
    elif job.state == DONE and job.kind in OPENED:
        box.operator("nvd.open_job", icon="NODE_COMPOSITING").job = job.id
    elif job.error is not None:
        draw_problem(box, job.error, job.id)
    else:
        box.label(text=describe(job))
    if job.id in runner.queue.troubles:
        draw_problem(box, runner.queue.troubles[job.id], job.id)
    if job.log.unread:
        said = translated("{count} lines of its log were not understood", count=job.log.unread)
        box.label(text=said, icon="ERROR")
    if job.ended and job.state != DONE:
        box.operator("nvd.resume_job", icon="PLAY").job = job.id
    for caution in job.log.cautions:
        draw_lines(box, caution, "ERROR")


def _picture(job: Job) -> int:
    """The icon of the newest preview picture, 0 where there is none."""
    path = "" if job.id in runner.foreign else job.log.preview  # a stranger's may be any file
    if _pictures is None or not path or not os.path.isfile(path):
        return 0
    key = f"{path} {os.stat(path).st_mtime_ns}"
    if key not in _pictures:
        for old in [old for old in _pictures if old.startswith(f"{path} ")]:
            del _pictures[old]
        _pictures.load(key, path, "IMAGE")
    return _pictures[key].icon_id


_classes = (
    NVD_UL_objects,
    NVD_PT_decompose,
    NVD_PT_size,
    NVD_PT_source,
    NVD_PT_jobs,
    NVD_PT_finished_jobs,
)


def register():
    global _pictures
    for cls in _classes:
        bpy.utils.register_class(cls)
    _pictures = bpy.utils.previews.new()


def unregister():
    global _pictures
    bpy.utils.previews.remove(_pictures)
    _pictures = None
    for cls in reversed(_classes):
        bpy.utils.unregister_class(cls)
