"""A Blender that starts the job in FOLDER while the kernel refuses every byte it writes.

PYTHONPATH=. .envs/bpy-4.5/bin/python tests/scripts/start_without_room.py FOLDER
"""

import resource
import signal
import sys

import bpy  # noqa: F401  a real Blender

from blender_addon.jobs.job import Job
from blender_addon.jobs.lanes import Queue

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
queue = Queue()
job = queue.add(Job(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
for _ in range(3):
    queue.tick()
assert job.state == "failed" and "cannot be written" in str(job.error), job.state
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
