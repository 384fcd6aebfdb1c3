"""torch's optimisers without torch's compiler, which nothing here uses.

Their first step imports `torch._dynamo`, which takes longer than torch itself, only to keep it from
compiling what is not to be compiled.
"""

import inspect

import torch

_SAYS_SO = "__dynamo_disable"
"""where the wrapper of torch/_compile.py keeps what it calls after the first time"""


class Adam(torch.optim.Adam):
    """torch's Adam, bit for bit."""

    @torch.no_grad()
    def step(self, closure=None):
        """As torch's own, without the compiler's marks about it."""
        return _STEP(self, closure)


_STEP = inspect.unwrap(torch.optim.Adam.step)


def leave_the_compiler_out() -> None:
    """Let the marked methods of all optimisers be called as they are.

    Without effect where torch marks them otherwise.
    """
    for marked in vars(torch.optim.Optimizer).values():
        plain = getattr(marked, "__wrapped__", None)
        code = getattr(marked, "__code__", None)
        if plain is not None and code is not None and _SAYS_SO in code.co_consts:
            setattr(plain, _SAYS_SO, plain)
