"""What a disk refuses is the user's to mend, in one sentence; a file is written whole or stays what it was."""

import errno

import pytest
from safetensors import SafetensorError

from penchant.errors import OutputError
from penchant.files import whole
from penchant.files.whole import disk_errors_explained, replacing, write_atomically


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_the_users_to_mend(tmp_path, error):
    said = "the disk is full; free some space and try anew, nothing half-written is used"
    with pytest.raises(OutputError, match=said), disk_errors_explained(tmp_path, again="try anew"):
        raise error


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST],
    ids=errno.errorcode.get,
)
def test_a_folder_that_is_forbidden_or_cannot_be_made_is_the_users_to_mend(tmp_path, number):
    said = r"cannot be written to \(.+\); set PENCHANT_CACHE"
    with pytest.raises(OutputError, match=said), disk_errors_explained(tmp_path, elsewhere="set PENCHANT_CACHE"):
        raise OSError(number, "of the system")


def test_other_faults_stay_what_they_are(tmp_path):
    for error in (OSError(errno.EIO, "Input/output error"), SafetensorError("header too large")):
        with pytest.raises(type(error)), disk_errors_explained(tmp_path):
            raise error


def test_a_file_is_replaced_whole_or_stays_as_it_was_without_a_scratch_file(tmp_path):
    path = tmp_path / "file"
    with replacing(path) as scratch:
        scratch.write_text("old")
    with pytest.raises(TypeError), replacing(path) as scratch, scratch.open("w") as file:
        file.writelines(["ne", None])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_written_atomically_is_old_or_new(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_atomically(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole, "sync_file", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
