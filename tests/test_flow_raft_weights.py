"""RAFT's weights: what is finite in the file and makes no motion is refused by name."""

import pytest
import torch

from nvd_core.priors.flow_raft import RaftSmall, load_raft
from nvd_core.runtime.errors import NvdError


def test_weights_that_overflow_are_refused(tmp_path):
    torch.manual_seed(0)
    state = RaftSmall().state_dict()
    state["update_block.flow_head.conv2.weight"].fill_(3e38)
    torch.save(state, tmp_path / "raft-small.pth")
    model = load_raft(tmp_path / "raft-small.pth")
    pair = torch.rand(2, 1, 3, 128, 128) * 255
    with pytest.raises(NvdError, match=r"raft-small\.pth gives no motion"):
        model(*pair)
