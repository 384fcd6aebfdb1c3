"""Layered neural video decomposition with multiplicative residuals in space-time.

A clip becomes layers, each a texture that can be painted on, with per-frame maps that carry the
paint, its occlusion and the light of the shot to every frame. docs/develop/architecture.md shows
the way through the package.
"""

import os

from nvd_core.runtime.cores import cores

# Threads that wait do so asleep: beside a busy program, such as Blender, spinning made a training
# step several times slower. But they spin for the few microseconds between one operation and the
# next (of GNU's OpenMP, on Linux): waking costs as much as the operation, and a second core brought
# nothing. Has to be set before torch loads its OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# Numba keeps to the number of threads that a process was given too; read when it is imported.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("NUMBA_NUM_THREADS", str(cores()))

__version__ = "0.1.0"

PROTOCOL = 11
"""Version of what the Blender extension relies on: the command line's words and its JSON lines."""
