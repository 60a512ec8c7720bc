"""What a disk refuses is the user's to mend, in one sentence; a file is written whole or stays what it was."""

import errno
import os

import pytest
from safetensors import SafetensorError

from penchant.errors import OutputError
from penchant.files import whole
from penchant.files.whole import (
    append_whole,
    disk_errors_explained,
    remove_scratch,
    replacing,
    replacing_folder,
    write_atomically,
    writing,
)


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

    monkeypatch.setattr(whole.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_stream_becomes_the_file_when_it_ends_and_not_before(tmp_path):
    path = tmp_path / "rows.jsonl"
    with writing(path) as stream:
        stream.write(b"one\n")
        assert not path.exists()
    with pytest.raises(TypeError), writing(path) as stream:
        stream.writelines([b"two\n", None])
    assert path.read_bytes() == b"one\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_appended_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    append_whole(path, "one\n")
    append_whole(path, "half a pair \ud800\n")

    def stopped(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(whole.os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        append_whole(path, "two\n")
    assert path.read_text() == "one\nhalf a pair \\ud800\n"


def written_into(folder):
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_a_folder_is_replaced_whole_or_stays_as_it_was(tmp_path):
    folder = tmp_path / "model"
    (tmp_path / ".model.writing").mkdir()
    (tmp_path / ".model.writing" / "left.txt").write_text("by a killed process")
    for content in ("old", "new"):
        with replacing_folder(folder) as scratch:
            (scratch / "inner").mkdir()
            (scratch / "inner" / "file").write_text(content)
        assert written_into(folder) == {"inner/file": content}
    with pytest.raises(FileNotFoundError), replacing_folder(folder) as scratch:
        (scratch / "no folder" / "half").write_text("half")
    assert written_into(tmp_path) == {"model/inner/file": "new"}


def test_an_empty_folder_is_filled_and_not_replaced_with_what_makes_it_a_model_last(tmp_path, monkeypatch):
    folder, order = tmp_path / "mounted", []
    folder.mkdir()
    place = folder.stat().st_ino
    replace = whole.os.replace
    monkeypatch.setattr(whole.os, "replace", lambda old, new: (order.append(new.name), replace(old, new)))
    with replacing_folder(folder, last="config.json") as scratch:
        for name in ("config.json", "adapter_config.json", "weights", "a"):
            (scratch / name).write_text(name)
    assert folder.stat().st_ino == place
    assert sorted(order[:2]) == ["a", "weights"]
    assert sorted(written_into(folder)) == ["a", "adapter_config.json", "config.json", "weights"]


def test_all_that_is_in_a_folder_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    replace = whole.os.replace
    monkeypatch.setattr(whole, "sync_file", lambda file: done.append(file.name))
    monkeypatch.setattr(whole, "sync_folder", lambda folder: done.append(f"{folder.name}/"))
    monkeypatch.setattr(whole.os, "replace", lambda old, new: (done.append("renamed"), replace(old, new)))
    with replacing_folder(tmp_path / "model") as scratch:
        (scratch / "inner").mkdir()
        (scratch / "inner" / "file").write_text("x")
    assert sorted(done[:3]) == [".model.writing/", "file", "inner/"]
    assert done[3:] == ["renamed", f"{tmp_path.name}/"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_process_killed_while_it_replaces_a_folder_leaves_the_old_or_the_new(tmp_path, at):
    """Killed just before the old is set aside, before the new has its name, and before the old is removed."""
    folder, calls = tmp_path / "best", []
    replace, remove = whole.os.replace, whole.shutil.rmtree

    def killed(change):
        def acted(*given, **more):
            calls.append(change)
            if len(calls) >= at + 3:  # what goes before is tidied first
                os._exit(9)
            return change(*given, **more)

        return acted

    with replacing_folder(folder) as scratch:
        (scratch / "file").write_text("old")
    child = os.fork()
    if child == 0:
        whole.os.replace, whole.shutil.rmtree = killed(replace), killed(remove)
        with replacing_folder(folder) as scratch:
            calls[:] = [None] * 3
            (scratch / "file").write_text("new")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    remove_scratch(tmp_path)
    assert written_into(tmp_path) == {"best/file": "new" if at == 3 else "old"}


def test_a_folder_that_cannot_be_replaced_keeps_its_name(tmp_path, monkeypatch):
    folder, replace = tmp_path / "best", whole.os.replace
    folder.mkdir()
    (folder / "file").write_text("old")

    def refuses_the_new(old, new):
        if new == folder and old.name == ".best.writing":
            raise OSError(errno.EACCES, "refused")
        replace(old, new)

    monkeypatch.setattr(whole.os, "replace", refuses_the_new)
    with pytest.raises(OSError, match="refused"), replacing_folder(folder) as scratch:
        (scratch / "file").write_text("new")
    assert written_into(tmp_path) == {"best/file": "old"}
