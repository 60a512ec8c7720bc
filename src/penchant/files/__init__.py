"""Files written whole or not at all, places found out beforehand, and locks that end with their holder.

whole.py   replace a file so that a reader sees the old or the new; what a disk refuses in one sentence
place.py   whether a result could be written
lock.py    one process at a time
private.py files for their owner alone

What is written by hand elsewhere is not missed where it is lost: caches, which are made again (the choice of a matrix
product in models/matmul.py, what this machine is measured to do in models/devices.py), and where a project is served,
which holds only while it is (feedback/web/serving.py).
"""

from penchant.files.lock import LOCK, alone_in, exclusive
from penchant.files.place import require_new, require_place
from penchant.files.private import create_private, keep_private
from penchant.files.whole import (
    SCRATCH,
    append_whole,
    disk_errors_explained,
    put_in_place,
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
    "replacing",
    "replacing_folder",
    "require_new",
    "require_place",
    "sync_file",
    "sync_folder",
    "write_atomically",
    "writing",
]
