"""Files are written beside and renamed, and only the disk's errors become words about the disk."""

import errno

import pytest

from nvd_core.runtime.errors import NvdError
from nvd_core.runtime.files import written_beside


def test_what_stood_there_survives_a_failure(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"), written_beside(path) as temporary:
        temporary.write_text("half")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["note.txt"]


def test_a_refusing_disk_is_told_with_its_remedy(tmp_path):
    with pytest.raises(NvdError, match="cannot write") as told, written_beside(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "No space left" in told.value.found and "free some space" in told.value.remedy


def test_a_reader_that_is_gone_is_not_taken_for_a_refusing_disk(tmp_path):
    with pytest.raises(BrokenPipeError), written_beside(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
