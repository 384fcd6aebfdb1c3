"""A Blender that is killed when it has started the job in FOLDER and not yet noted its process.

PYTHONPATH=. .envs/bpy-4.5/bin/python tests/scripts/start_and_die.py FOLDER
"""

import os
import signal
import sys

import bpy  # noqa: F401  a real Blender

from blender_addon.jobs import job, launch

launch.write_mark = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
job.Job(sys.argv[1]).start()
