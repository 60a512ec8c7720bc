"""Who is asked what, decided in memory: no database, no files, no web.

board.py      the state: who has which pair, which may be given to whom, and progress
choosing.py   which pair is next, with which probability, and about how many are left
desk.py       a person's actions: get a pair, answer, skip, undo
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
