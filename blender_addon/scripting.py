"""What scripts import: one place whose names stay where they are.

    from blender_addon.scripting import decompose, open_shot, wait

In an installed extension the package is `bl_ext.user_default.neural_video_layers`.
"""

from .decompose.clicking import click
from .decompose.job import decompose, resume_folder
from .decompose.refine_job import refine
from .decompose.strip_job import Object, decompose_strip
from .engine.find import find_engine, test_engine
from .engine.install import install_job
from .jobs.job import Job
from .jobs.lanes import Queue
from .jobs.runner import runner
from .jobs.waiting import wait
from .paint import frame_canvas, pins, preview
from .shot import finish, painting, shots, stack
from .shot.folder import read_shot
from .shot.scripting import image_of, open_shot
from .strip import composite_strips, strips
from .strip.holdout import set_holdout
from .strip.timing import shown_pictures

for moved in (composite_strips.add_modifier, composite_strips.add_scene_strip):
    setattr(strips, moved.__name__, moved)  # where scripts know them from

__all__ = [
    "Job",
    "Object",
    "Queue",
    "click",
    "composite_strips",
    "decompose",
    "decompose_strip",
    "find_engine",
    "finish",
    "frame_canvas",
    "image_of",
    "install_job",
    "open_shot",
    "painting",
    "pins",
    "preview",
    "read_shot",
    "refine",
    "resume_folder",
    "runner",
    "set_holdout",
    "shots",
    "shown_pictures",
    "stack",
    "strips",
    "test_engine",
    "wait",
]
