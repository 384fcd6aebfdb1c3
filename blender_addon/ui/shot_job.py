"""A job on a shot where the tab Layers shows what it works on: how far it is, and what it said."""

from ..blender.problems import draw_lines, draw_problem
from ..jobs.job import Job
from ..jobs.runner import describe


def draw_shot_job(layout, column, job: Job | None) -> None:
    """Its error, or its progress with a button to cancel it; then its cautions in the `column`."""
    if job is None:
        return
    if job.error is not None:
        draw_problem(layout, job.error, job.id)
    elif not job.ended:
        row = layout.row()
        row.label(text=f"{job.title}: {describe(job)}")
        row.operator("nvd.cancel_job", text="", icon="CANCEL").job = job.id
    for caution in job.log.cautions:
        draw_lines(column, caution, "INFO")
