"""What an admin downloads is nobody else's on this machine, also while it is made."""

import tempfile
from pathlib import Path

import pytest

from penchant.errors import OutputError
from penchant.feedback import exports


def test_an_export_is_made_where_no_other_user_can_look_and_is_gone_afterwards(site, monkeypatch):
    export, seen = exports.export, []

    def watched(store, to, path, **how):
        num_rows = export(store, to, path, **how)
        seen.append((Path(path).parent, Path(path).parent.stat().st_mode & 0o777))
        return num_rows

    monkeypatch.setattr(exports, "export", watched)
    assert site.visitor("boss").get("/admin/export/raw").status_code == 200
    ((folder, mode),) = seen
    assert mode == 0o700
    assert folder != Path(tempfile.gettempdir())
    assert not folder.exists()


@pytest.mark.slow(threads=1)
def test_an_export_that_fails_leaves_nothing_behind(site, monkeypatch, tmp_path):
    def fail(store, to, path, **how):
        Path(path).write_text("half")
        raise OutputError(f"{path}: cannot be written (no space left on device); choose another file")

    monkeypatch.setattr(exports, "export", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert site.visitor("boss").get("/admin/export/raw").status_code == 422
    assert list(tmp_path.iterdir()) == []
