"""The size at which a clip is looked at, where that is smaller than the plate it delivers."""

from dataclasses import dataclass
from typing import Annotated

from nvd_core.runtime.declared import within
from nvd_core.runtime.sizes import MOST_SIDE


@dataclass(frozen=True)
class AnalysisSize:
    """Pixels of the arrays in work/, in which the networks count."""

    width: Annotated[int, within(1, MOST_SIDE)]
    height: Annotated[int, within(1, MOST_SIDE)]
