"""What a machine may lack, and what was promised: then to lack it is a failure, not a skip.

Set NVD_GPU_PROMISED=1 where there is a GPU, NVD_CLIPS_PROMISED=1 where the real clips lie,
NVD_BROWSER_PROMISED=1 where a Chromium is installed: a test
marked `gpu` or `clips` that would be skipped there for want of them fails in its place.
"""

import os
from pathlib import Path

import pytest

CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def need(what: str, missing: str | None) -> None:
    """Skip the test that runs where something is `missing`; fail it where `what` was promised."""
    if missing is None:
        return
    promise = f"NVD_{what.upper()}_PROMISED"
    if os.environ.get(promise, "") not in ("", "0"):
        pytest.fail(f"{missing}, though {promise} is set", pytrace=False)
    pytest.skip(missing)
