"""Atomic file writes, checks of output paths, and locks that end with their holder.

whole.py   replace a file so that a reader sees the old or the new; disk errors in one sentence
place.py   check that a result can be written
lock.py    one process at a time
private.py files readable only by their owner

Some files are written directly, because losing them does no harm: caches, which are rebuilt (the choice of a matrix
product in models/matmul.py, this machine's measurements in models/devices.py), and a running server's address
(feedback/web/serving.py).
"""

from penchant.files.lock import LOCK, alone_in, exclusive
from penchant.files.place import require_new, require_place
from penchant.files.private import create_private, keep_private
from penchant.files.whole import (
    SCRATCH,
    append_whole,
    disk_errors_explained,
    put_in_place,
    remove_scratch,
    replacing,
    replacing_folder,
    sync_file,
    sync_folder,
    write_atomically,
    writing,
)

__all__ = [
    "LOCK",
    "SCRATCH",
    "alone_in",
    "append_whole",
    "create_private",
    "disk_errors_explained",
    "exclusive",
    "keep_private",
    "put_in_place",
    "remove_scratch",
    "replacing",
    "replacing_folder",
    "require_new",
    "require_place",
    "sync_file",
    "sync_folder",
    "write_atomically",
    "writing",
]
