"""How a problem is drawn: what went wrong, what to do, and the button that does it."""

import textwrap

import bpy

from ..errors import AddonError

WIDTH = 46  # letters that fit into a sidebar of usual width
_LETTER, _BESIDE = 5.6, 72  # pixels of a letter, and of the icon, the margins and the tabs

# What the engine advises in words, and the operator that does it
ENGINE_REMEDIES = (("nvd resume", "nvd.resume_job"), ("--device cpu", "nvd.retry_on_cpu"))
TEXTS = {
    "nvd.install_engine": ("Install Engine", "IMPORT"),
    "nvd.resume_job": ("Resume", "PLAY"),
    "nvd.resume_anyway": ("Resume Anyway", "PLAY"),
    "nvd.retry_on_cpu": ("Run on the CPU", "PLAY"),
    "nvd.open_shot": ("Open a Decomposition", "FILE_FOLDER"),
    "wm.save_mainfile": ("Save the File", "FILE_TICK"),
    "extensions.userpref_allow_online": ("Allow Online Access", "INTERNET"),
}


def button_of(error: AddonError) -> str:
    """The operator that does what `error` advises; "" where there is none."""
    if error.button in TEXTS:  # a job's log may name anything
        return error.button
    return next((name for words, name in ENGINE_REMEDIES if words in error.remedy), "")


def letters() -> int:
    """How many letters fit behind an icon into the sidebar that is being drawn."""
    region = bpy.context.region
    if region is None or region.type != "UI":
        return WIDTH
    return letters_in(region.width, bpy.context.preferences.system.ui_scale)


def letters_in(width: int, scale: float) -> int:
    """The same of a sidebar so many pixels wide, where the interface is scaled."""
    return max(20, int((width / scale - _BESIDE) / _LETTER))


def draw_lines(layout, text: str, icon: str = "NONE") -> None:
    """A text of any length, with an icon before its first line."""
    for number, line in enumerate(textwrap.wrap(text, letters())):
        layout.label(text=line, icon="NONE" if number else icon)


def draw_problem(layout, error: AddonError, job_id: str = "") -> None:
    box = layout.box()
    draw_lines(box, error.problem, "ERROR")
    draw_lines(box, error.remedy)
    name = button_of(error)
    if name:
        text, icon = TEXTS[name]
        button = box.operator(name, text=text, icon=icon)
        if job_id and "job" in button.bl_rna.properties:
            button.job = job_id
