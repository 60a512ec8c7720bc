"""Remember which keys were met, and where first, in the same few bytes per key."""

from array import array
from collections.abc import Hashable

from penchant.data.quickly import origin_at
from penchant.data.records import Origin

__all__ = ["Seen"]

BITS_OF_LINE = 40
LEAST_SLOTS = 1 << 10


class Seen:
    """A hash table of 24 to 48 bytes per key: ten million rows take less than 400 MB.

    It keeps 64 bits of each key's `hash`, which is as good as random for texts and tuples of texts: the probability
    that any two of ten million different keys collide is 3 in a million. Slots are probed from the hash's position to
    the first empty one; at most two thirds of them are filled.
    """

    def __init__(self) -> None:
        self._num = 0
        self._sources: list[tuple[type[Origin], str]] = []
        self._number_of: dict[tuple[type[Origin], str], int] = {}
        self._make_room(LEAST_SLOTS)

    def __len__(self) -> int:
        return self._num

    @property
    def num_bytes(self) -> int:
        """The size of the table in bytes."""
        return 16 * len(self._marks)

    def first(self, key: Hashable) -> Origin | None:
        """Where the key was first met; None if it was not."""
        place = self._places[self._slot_of(hash(key))]
        if not place:
            return None
        kind, file = self._sources[place >> BITS_OF_LINE]
        return origin_at(kind, file, place & ((1 << BITS_OF_LINE) - 1))

    def remember(self, key: Hashable, origin: Origin) -> Origin | None:
        """Return where the key was first met; if it was not, record it at `origin`."""
        slot = self._slot_of(mark := hash(key))
        if self._places[slot]:
            return self.first(key)
        self._marks[slot] = mark
        self._places[slot] = self._number(origin) << BITS_OF_LINE | origin.line
        self._num += 1
        if 3 * self._num > 2 * len(self._marks):
            self._grow()
        return None

    def _slot_of(self, mark: int) -> int:
        """The slot that holds the mark, or the empty one where it would be."""
        marks, places, last = self._marks, self._places, len(self._marks) - 1
        slot = mark & last
        while places[slot] and marks[slot] != mark:
            slot = slot + 1 & last
        return slot

    def _number(self, origin: Origin) -> int:
        """The number of the file, or of the rows in memory, of the origin."""
        source = type(origin), origin.file
        number = self._number_of.setdefault(source, len(self._sources))
        if number == len(self._sources):
            self._sources.append(source)
        return number

    def _make_room(self, num_slots: int) -> None:
        self._marks, self._places = (
            array("q", bytes(8)) * num_slots for _ in range(2)
        )  # lines count from 1: 0 is none

    def _grow(self) -> None:
        marks, places = self._marks, self._places
        self._make_room(2 * len(marks))
        for mark, place in zip(marks, places, strict=True):
            if place:
                slot = self._slot_of(mark)
                self._marks[slot], self._places[slot] = mark, place
