"""The extension's preferences: where the engine is, how it is installed, and what it says."""

import textwrap

import bpy
from bpy.props import EnumProperty, StringProperty

from ..blender.problems import WIDTH, draw_problem
from ..blender.storage import EXTENSION
from ..engine.find import find_engine
from ..errors import AddonError
from ..jobs.checked_json import clean
from ..jobs.runner import describe, runner


class NVD_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = EXTENSION

    engine_python: StringProperty(
        name="Engine's Python",
        subtype="FILE_PATH",
        description="Python that holds the engine; empty: NVD_PYTHON, then the environment that "
        "this extension installed, then the command nvd on PATH",
    )
    engine_source: StringProperty(
        name="Engine package",
        description="Folder, wheel, address or name to install the engine from; empty: the one "
        "that came with this extension",
    )
    torch_build: EnumProperty(
        name="PyTorch",
        items=[
            ("auto", "Automatic", "CUDA where there is an NVIDIA driver, otherwise CPU"),
            ("cpu", "CPU", ""),
            ("cuda", "CUDA", "For NVIDIA GPUs"),
        ],
    )
    torch_index: StringProperty(
        name="PyTorch index",
        description="Package index, or folder of wheels, with the PyTorch build for this machine; "
        "empty: pip's own",
    )
    package_index: StringProperty(
        name="Package index",
        description="Package index, or folder of wheels, for everything else; empty: pip's own",
    )

    def draw(self, _context):
        layout = self.layout
        layout.use_property_split = True
        layout.prop(self, "engine_python")
        try:
            engine = find_engine()
        except AddonError as error:
            draw_problem(layout, error)
        else:
            layout.label(text=f"{engine.python} ({engine.origin})", icon="CONSOLE")
        layout.operator("nvd.test_engine", icon="CHECKMARK")
        self._draw_job(layout, "test")
        layout.separator()
        layout.prop(self, "engine_source")
        layout.prop(self, "torch_build")
        layout.prop(self, "torch_index")
        layout.prop(self, "package_index")
        layout.operator("nvd.install_engine", icon="IMPORT")
        self._draw_job(layout, "install")

    def _draw_job(self, layout, kind: str) -> None:
        """Where the newest installation or test stands, and what it found."""
        job = next((job for job in runner.tools.jobs if job.kind == kind), None)
        if job is None:
            return
        if not job.ended:
            row = layout.row()
            row.progress(factor=job.log.fraction, text=describe(job))
            row.operator("nvd.cancel_job", text="", icon="CANCEL").job = job.id
            if job.log.message:
                layout.label(text=job.log.message[:120])
        elif job.error is not None:
            draw_problem(layout, job.error)
        elif job.log.result:
            facts = job.log.result
            version, torch, device = (
                clean(str(facts.get(name, "?"))[:80]) for name in ("version", "torch", "device")
            )
            layout.label(text=f"nvd {version}, torch {torch}, {device}", icon="CHECKMARK")
        else:
            layout.label(text=job.state)
        for caution in job.log.cautions:
            for line in textwrap.wrap(caution, 2 * WIDTH):
                layout.label(text=line, icon="ERROR")
        if kind == "install":
            layout.operator("nvd.show_log", icon="TEXT").job = job.id


def register():
    bpy.utils.register_class(NVD_AP_preferences)


def unregister():
    bpy.utils.unregister_class(NVD_AP_preferences)
