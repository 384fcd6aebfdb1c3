"""Without a GPU, Triton's kernels run in its interpreter; that must be said before it is imported.

torch imports triton by itself where both are installed, so a test module would come too late.
"""

import os

try:
    import torch
except ModuleNotFoundError:  # inside Blender
    torch = None

if torch and not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
