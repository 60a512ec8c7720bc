"""Who is asked what, decided in memory: no database, no files, no web.

board.py      who has which pair, which may be asked of whom, and how far each person is
choosing.py   which pair next, with which probability, and about how many are left
desk.py       what people do with their pairs: one is given, answered, skipped, taken back
"""

from penchant.feedback.asking.board import Board, Given, Said
from penchant.feedback.asking.desk import Desk, Ids, People, Rows, hashed, require_enabled

__all__ = [
    "Board",
    "Desk",
    "Given",
    "Ids",
    "People",
    "Rows",
    "Said",
    "hashed",
    "require_enabled",
]
