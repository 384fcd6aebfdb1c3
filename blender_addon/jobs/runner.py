"""Blender's side of the jobs: a timer that ticks their queues, and the record in the .blend.

`runner` is the one instance. A scene remembers the folders of its jobs, so that opening the file
finds them again: running, finished or interrupted, in this Blender or another.
"""

import atexit
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from bpy.props import CollectionProperty, StringProperty

from ..blender.inside import check_links
from ..blender.storage import is_ours
from ..errors import AddonError
from .job import INTERRUPTED, PENDING, Job
from .lanes import Queue, as_problem

INTERVAL = 0.25  # seconds between two ticks


class NVD_PG_job_record(bpy.types.PropertyGroup):
    """What a .blend keeps of a job."""

    folder: StringProperty(name="Job's folder", subtype="DIR_PATH")
    out: StringProperty(name="Decomposition", subtype="DIR_PATH")

    @property
    def job_id(self) -> str:
        return Path(self.folder).name


class Runner:
    """The queues of this Blender.

    `queue` holds decompositions and renders, `tools` installations and tests, which need not wait
    for them. `when_ended` are functions called with each job that ends, `when_ready` with one whose
    decomposition can be painted on before that. `longest_tick` is the
    longest time in seconds that the timer held Blender's main thread.
    `trouble` is what made the last tick fail, None where it went well; `damaged` are the jobs, by
    id, that the file remembers and whose folders cannot be understood. `foreign` are the ids of
    those whose folders another user or machine made: a file from elsewhere may name any folder, and
    its plan any program, so they are looked at and never started.
    """

    def __init__(self):
        self.queue = Queue()
        self.tools = Queue()
        self.when_ended: list[Callable[[Job], None]] = []
        self.when_ready: list[Callable[[Job], None]] = []
        self.longest_tick = 0.0
        self.trouble: AddonError | None = None
        self.damaged: dict[str, AddonError] = {}
        self.foreign: set[str] = set()
        self._scenes: dict[str, str] = {}  # job's id: name of its scene

    def queue_job(self, job: Job, scene: bpy.types.Scene | None = None) -> Job:
        """Take `job` in, remember it in `scene` (the current one), and see that it is run."""
        job = self.queue.add(job)
        scene = scene or bpy.context.scene
        if scene is not None:
            self._scenes[job.id] = scene.name
            self._remember()
        self._keep_ticking()
        return job

    def queue_tool(self, job: Job) -> Job:
        """The same for an installation or a test, which belongs to no scene."""
        for old in [other for other in self.tools.jobs if other.kind == job.kind and other.ended]:
            self.tools.remove(old)
        self.tools.add(job)
        self._keep_ticking()
        return job

    def forget(self, job: Job) -> None:
        """Take a job that has ended from the list and from the file; its output stays."""
        self.queue.remove(job)
        self.forget_record(job.id)

    def forget_record(self, id: str) -> None:
        """Take what the file remembers of a job from it."""
        self._scenes.pop(id, None)
        self.damaged.pop(id, None)
        for scene in bpy.data.scenes:
            for index, record in reversed(list(enumerate(scene.nvd_jobs))):
                if record.job_id == id:
                    scene.nvd_jobs.remove(index)

    def tick(self) -> None:
        """Read what the jobs said, start the next, and redraw. Never waits."""
        began = time.perf_counter()
        was_ready = {job.id for job in self.queue.jobs if job.log.ready is not None}
        ended = self.queue.tick() + self.tools.tick()
        self._remember()
        ready = [j for j in self.queue.jobs if j.log.ready is not None and j.id not in was_ready]
        calls = [(function, job) for job in ready for function in self.when_ready]
        calls += [(function, job) for job in ended for function in self.when_ended]
        for function, job in calls:
            try:
                function(job)
            except Exception:  # a timer that raises is never called again: the queue would stop
                traceback.print_exc()
        _redraw(everything=bool(calls))
        self.longest_tick = max(self.longest_tick, time.perf_counter() - began)

    def jobs_of(self, scene: bpy.types.Scene) -> list[Job]:
        """The jobs that `scene` remembers, in their order."""
        found = (self.queue.find(record.job_id) for record in scene.nvd_jobs)
        return [job for job in found if job is not None]

    def scene_of(self, job: Job) -> bpy.types.Scene | None:
        """The scene that remembers `job`, whatever it is called now."""
        for scene in bpy.data.scenes:
            if any(record.job_id == job.id for record in scene.nvd_jobs):
                return scene
        return None

    def find_again(self) -> None:
        """Take in the jobs that the opened file remembers; ended ones of other files go."""
        self.queue.jobs = [job for job in self.queue.jobs if not job.ended]
        self._scenes.clear()
        self.damaged.clear()
        self.foreign.clear()
        for scene in bpy.data.scenes:
            for record in scene.nvd_jobs:
                job = self._load(record)
                if job is not None:
                    self._scenes[self.queue.add(job).id] = scene.name
        if self.queue.busy:
            self._keep_ticking()

    def stop_ticking(self) -> None:
        atexit.unregister(self.stop_ticking)
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)

    def _load(self, record: NVD_PG_job_record) -> Job | None:
        known = self.queue.find(record.job_id)
        if known is not None:
            return known
        folder = Path(bpy.path.abspath(record.folder))
        if not (folder / "plan.json").is_file():
            return None  # made on another machine, or its folder was cleared away
        try:
            if not is_ours(folder):
                check_links(folder)
            job = Job(folder)
        except (AddonError, OSError) as error:
            self.damaged[record.job_id] = as_problem(error, f"{folder} cannot be read")
            return None
        if not is_ours(folder):
            self.foreign.add(job.id)
        if job.state == PENDING and job.id in self.foreign:
            job.state = INTERRUPTED
            job.error = AddonError(
                f"{job.title} was queued by another user or machine, at {folder}",
                "start it again from its strip",
            )
        return job

    def _remember(self) -> None:
        """Write the jobs into their scenes; an undo may have taken them out."""
        if not hasattr(bpy.types.Scene, "nvd_jobs"):
            return  # a script that has not registered the extension
        known = {record.job_id for scene in bpy.data.scenes for record in scene.nvd_jobs}
        for job in self.queue.jobs:
            scene = bpy.data.scenes.get(self._scenes.get(job.id, ""))
            if scene is not None and job.id not in known:
                record = scene.nvd_jobs.add()
                record.name, record.folder, record.out = job.title, str(job.folder), job.out

    def _keep_ticking(self) -> None:
        if not bpy.app.timers.is_registered(timer):
            bpy.app.timers.register(timer, first_interval=0.0, persistent=True)
            # Blender as a Python module hangs at its end where a timer is left
            atexit.register(self.stop_ticking)


runner = Runner()


def timer() -> float | None:
    """Blender calls this; None ends it. One that raises would never be called again."""
    try:
        runner.tick()
        runner.trouble = None
    except Exception as error:
        if runner.trouble is None:  # four times a second it would fill the console
            traceback.print_exc()
        runner.trouble = as_problem(error, "the jobs cannot be looked after")
    return INTERVAL if runner.queue.busy or runner.tools.busy else None


@persistent
def _after_load(_file) -> None:
    runner.find_again()


def _redraw(everything: bool) -> None:
    """Redraw what shows jobs, and no more: a timeline or a texture may take long to draw.

    everything: the rest of these editors too, where a job that ended may have changed it.
    """
    shows_jobs = (("SEQUENCE_EDITOR", "UI"), ("PREFERENCES", "WINDOW"))
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                here = area.type in ("SEQUENCE_EDITOR", "IMAGE_EDITOR", "PREFERENCES")
                if (area.type, region.type) in shows_jobs or (everything and here):
                    region.tag_redraw()


def describe(job: Job) -> str:
    """One line on where a job stands."""
    if job.stopping:
        return "stopping"
    if job.state == PENDING:
        return job.waits_for.problem if job.waits_for else "waits for its turn"
    if job.state != "running":
        return "can be resumed" if job.state == INTERRUPTED else job.state
    words = [job.log.stage or "starting"]
    if job.log.total:
        words.append(f"{job.log.done} of {job.log.total}")
    if job.log.seconds_left is not None:
        words.append(f"{_duration(job.log.seconds_left)} left")
    if job.log.psnr is not None:
        words.append(f"{job.log.psnr:.1f} dB")
    return ", ".join(words)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def register():
    bpy.utils.register_class(NVD_PG_job_record)
    bpy.types.Scene.nvd_jobs = CollectionProperty(type=NVD_PG_job_record)
    bpy.app.handlers.load_post.append(_after_load)
    if hasattr(bpy.data, "scenes"):  # not while Blender itself starts: load_post comes then
        runner.find_again()


def unregister():
    runner.stop_ticking()
    bpy.app.handlers.load_post.remove(_after_load)
    del bpy.types.Scene.nvd_jobs
    bpy.utils.unregister_class(NVD_PG_job_record)
