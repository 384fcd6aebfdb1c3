"""Operators on the engine and on jobs: each checks, calls a function, and reports."""

import bpy
from bpy.props import BoolProperty, StringProperty

from ..blender.compat import sequencer_scene
from ..blender.editors import image_editor
from ..blender.reporting import Reporting
from ..blender.storage import preferences
from ..decompose.maps_job import write_missing
from ..decompose.mask_drawing import draw_mask
from ..decompose.opening import finished_jobs, open_result
from ..decompose.part_list import chosen
from ..decompose.properties import active_strip, add_object, hand_over, output_folder, source_words
from ..decompose.strip_job import decompose_strip
from ..engine.find import find_engine, test_job
from ..engine.install import install_job, plan_install
from ..errors import AddonError
from ..jobs.job import DONE, Job
from ..jobs.runner import runner
from ..strip.timing import check_kind


class _OnJob(Reporting):
    """An operator on one job, given by its id."""

    job: StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def found(self) -> Job:
        job = runner.queue.find(self.job) or runner.tools.find(self.job)
        if job is None:
            raise AddonError("the job is not in the list any more", "start it again")
        return job

    def found_to_start(self) -> Job:
        """The same; not one whose folder came with a file from elsewhere, for it may name any
        program.
        """
        job = self.found()
        if job.id in runner.foreign:
            raise AddonError(
                f"{job.title} was queued by another user or machine", "start it from its strip"
            )
        return job


class NVD_OT_test_engine(Reporting, bpy.types.Operator):
    """See whether the engine's Python works: its version, its device, and what is missing"""

    bl_idname = "nvd.test_engine"
    bl_label = "Test Engine"

    def work(self, _context):
        runner.queue_tool(test_job(find_engine().python))


class NVD_OT_install_engine(Reporting, bpy.types.Operator):
    """Install the engine, for all Blenders of yours; first it says how large it is, and where"""

    bl_idname = "nvd.install_engine"
    bl_label = "Install Engine"

    def invoke(self, context, _event):
        try:
            self.lines = plan_install(**install_options()).lines
        except AddonError as error:  # not online, or not for this machine: said before the question
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(
            self, width=560, title="Install the Engine?", confirm_text="Install"
        )

    def draw(self, _context):
        for line in self.lines:
            self.layout.label(text=line)

    def work(self, _context):
        runner.queue_tool(install_job(**install_options()))
        return "The engine is being installed; the preferences show how far it is"


def install_options() -> dict:
    """What the preferences say on the installation."""
    chosen = preferences()
    if chosen is None:
        return {}
    return {
        "source": bpy.path.abspath(chosen.engine_source),
        "build": chosen.torch_build,
        "torch_index": chosen.torch_index,
        "package_index": chosen.package_index,
    }


class NVD_OT_decompose(Reporting, bpy.types.Operator):
    """Decompose what the active strip shows into layers, beside Blender"""

    bl_idname = "nvd.decompose"
    bl_label = "Decompose"

    @classmethod
    def poll(cls, context):
        editor = sequencer_scene(context).sequence_editor
        if editor is None or editor.active_strip is None:
            cls.poll_message_set("Select a movie, image or scene strip")
            return False
        return True

    def work(self, context):
        scene = sequencer_scene(context)
        strip = scene.sequence_editor.active_strip
        check_kind(strip)
        hand_over(scene)
        settings, own = scene.nvd_decompose, strip.nvd_decompose
        decompose_strip(
            strip,
            output_folder(strip),
            [thing.to_object() for thing in own.objects],
            background_parts=[part.to_object() for part in own.parts],
            background_windows=own.windows,
            scene=scene,
            height=settings.height or None,
            plate_height=settings.plate_height or None,
            texture_size=int(settings.texture_size),
            mask_margin=own.mask_margin if own.objects else 0,
            layer=own.layer.strip(),
            preset=settings.preset,
            at_once=settings.at_once and settings.preset != "draft" and not own.shots,
            device=settings.device,
            settings=bpy.path.abspath(settings.settings) if settings.settings else "",
            **source_words(strip),
        )
        return f"{strip.name} is in the queue"


class NVD_OT_cancel_job(_OnJob, bpy.types.Operator):
    """Stop the job; it can be resumed"""

    bl_idname = "nvd.cancel_job"
    bl_label = "Cancel"

    def work(self, _context):
        self.found().cancel()


class NVD_OT_resume_job(_OnJob, bpy.types.Operator):
    """Go on where the job stopped"""

    bl_idname = "nvd.resume_job"
    bl_label = "Resume"

    def work(self, context):
        job = self.found_to_start()
        job.queue_again()
        runner.queue_job(job, sequencer_scene(context))


class NVD_OT_resume_anyway(_OnJob, bpy.types.Operator):
    """Go on, though the folder was not begun by you on this machine; first it says what is read"""

    bl_idname = "nvd.resume_anyway"
    bl_label = "Resume Anyway"

    def invoke(self, context, _event):
        try:
            self.lines = self.found_to_start().log.reads
        except AddonError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(
            self, width=560, title="Read These Files and Resume?", confirm_text="Resume"
        )

    def draw(self, _context):
        for line in self.lines:
            self.layout.label(text=line)

    def work(self, context):
        job = self.found_to_start()
        job.resume_anyway()
        runner.queue_job(job, sequencer_scene(context))


class NVD_OT_retry_on_cpu(_OnJob, bpy.types.Operator):
    """Run the job on the CPU, which takes longer"""

    bl_idname = "nvd.retry_on_cpu"
    bl_label = "Run on the CPU"

    def work(self, context):
        job = self.found_to_start()
        job.on_cpu()
        runner.queue_job(job, sequencer_scene(context))


class NVD_OT_forget_job(_OnJob, bpy.types.Operator):
    """Take the job off the list; what it made stays"""

    bl_idname = "nvd.forget_job"
    bl_label = "Remove from List"

    def work(self, _context):
        if self.job in runner.damaged:
            runner.forget_record(self.job)
        else:
            runner.forget(self.found())


class NVD_OT_clear_jobs(Reporting, bpy.types.Operator):
    """Take all finished jobs off the list; what they made stays"""

    bl_idname = "nvd.clear_jobs"
    bl_label = "Clear Finished Jobs"

    def work(self, context):
        for job in finished_jobs(sequencer_scene(context)):
            runner.forget(job)


class NVD_OT_open_job(_OnJob, bpy.types.Operator):
    """Open the finished decomposition: its layers to paint on, and its compositor"""

    bl_idname = "nvd.open_job"
    bl_label = "Open"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 (Blender wants a set)

    def work(self, context):
        job = self.found()
        if job.state != DONE and job.log.ready is None:
            raise AddonError(f"{job.title} is {job.state}", "wait until it is done")
        scene = sequencer_scene(context)
        opened = open_result(job, scene)
        told = write_missing(opened, scene, job.plan["about"])
        return f"Opened {', '.join(entry.name for entry in opened)}" + (told and f"; {told}")


class NVD_OT_show_log(_OnJob, bpy.types.Operator):
    """Show what the job said, as a text in the Text Editor"""

    bl_idname = "nvd.show_log"
    bl_label = "Show Log"

    def work(self, _context):
        job = self.found()
        name = f"{job.title} log"
        text = bpy.data.texts.get(name) or bpy.data.texts.new(name)
        text.from_string(job.full_log())
        return f"The log is the text {name!r} in the Text Editor"


class OnStrip(Reporting):
    """An operator on the objects of the active strip."""

    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012

    @classmethod
    def poll(cls, context):
        if active_strip(sequencer_scene(context)) is None:
            cls.poll_message_set("Select a movie, image or scene strip")
            return False
        return True

    def subject(self, context):
        scene = sequencer_scene(context)
        hand_over(scene)
        return context, active_strip(scene)


class NVD_OT_add_object(OnStrip, bpy.types.Operator):
    """Add an object of this strip that becomes a layer of its own"""

    bl_idname = "nvd.add_object"
    bl_label = "Add Object"

    def work(self, _context, strip):
        add_object(strip)


class NVD_OT_remove_object(OnStrip, bpy.types.Operator):
    """Remove the active object from the list"""

    bl_idname = "nvd.remove_object"
    bl_label = "Remove Object"

    def work(self, _context, strip):
        settings = strip.nvd_decompose
        settings.objects.remove(settings.active)
        settings.active = max(0, min(settings.active, len(settings.objects) - 1))


class NVD_OT_move_object(OnStrip, bpy.types.Operator):
    """Move the active object towards the front or the back: what is in front hides the others"""

    bl_idname = "nvd.move_object"
    bl_label = "Move Object"

    by: bpy.props.IntProperty(default=1, min=-1, max=1)

    def work(self, _context, strip):
        settings = strip.nvd_decompose
        to = settings.active + self.by
        if 0 <= to < len(settings.objects):
            settings.objects.move(settings.active, to)
            settings.active = to


class OnMasked(OnStrip):
    """The same on the active object, or on the active one of the listed parts."""

    part: BoolProperty(options={"HIDDEN", "SKIP_SAVE"})

    def thing(self, strip):
        return chosen(strip, self.part)


class NVD_OT_draw_mask(OnMasked, bpy.types.Operator):
    """Draw the mask over the strip in an Image Editor: Ctrl-click adds points"""

    bl_idname = "nvd.draw_mask"
    bl_label = "Draw Mask"

    def work(self, context, strip):
        space = image_editor(context)
        draw_mask(self.thing(strip), strip, space)
        return "" if space else "Open an Image Editor in the mode Mask, and choose the mask"


_classes = (
    NVD_OT_test_engine,
    NVD_OT_install_engine,
    NVD_OT_decompose,
    NVD_OT_cancel_job,
    NVD_OT_resume_job,
    NVD_OT_resume_anyway,
    NVD_OT_retry_on_cpu,
    NVD_OT_forget_job,
    NVD_OT_clear_jobs,
    NVD_OT_open_job,
    NVD_OT_show_log,
    NVD_OT_add_object,
    NVD_OT_remove_object,
    NVD_OT_move_object,
    NVD_OT_draw_mask,
)


register, unregister = bpy.utils.register_classes_factory(_classes)
