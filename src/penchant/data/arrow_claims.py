"""Read the uncompressed size that an .arrow file claims from its headers, before anything is allocated.

Headers are flatbuffers; four of their tables are read: Message, DictionaryBatch, RecordBatch and Footer (Arrow's
Message.fbs and File.fbs). Numbers are little-endian, and a compressed buffer begins with its size once unpacked.
"""

import os
from struct import unpack_from
from typing import BinaryIO

__all__ = ["MAGIC", "claimed_bytes"]

MAGIC = b"ARROW1"
"""How Arrow's file format begins and ends."""
CONTINUES = -1
"""Stands before the length of a message, since Arrow 0.15."""
DICTIONARY_BATCH, RECORD_BATCH = 2, 3
"""Types of a message's header that have a body of buffers."""


def claimed_bytes(stream: BinaryIO) -> int:
    """Bytes of all uncompressed buffers, plus one eighth of the lengths of all columns, as nulls take no buffer.

    Raises ValueError for offsets beyond the end of the file, and struct.error for an invalid header.
    """
    size = stream.seek(0, os.SEEK_END)
    if _read(stream, 0, len(MAGIC)) == MAGIC:
        return sum(_claimed(stream, place, size)[1] for place in _places_in_footer(stream, size))
    total = place = 0
    while place < size:
        place, claimed = _claimed(stream, place, size)
        total += claimed
    return total


def _places_in_footer(stream: BinaryIO, size: int) -> list[int]:
    """Where the messages of Arrow's file format begin."""
    end = size - len(MAGIC) - 4
    (length,) = unpack_from("<i", _read(stream, end, 4))
    footer = _read(stream, end - length, length)
    root = unpack_from("<I", footer)[0]
    blocks = [start for field in (2, 3) for start in _vector(footer, root, field, 24)]
    return [unpack_from("<q", footer, block)[0] for block in blocks]


def _claimed(stream: BinaryIO, place: int, size: int) -> tuple[int, int]:
    """The end of the message at this offset, and the uncompressed size of its body."""
    (length,), begin = unpack_from("<i", _read(stream, place, 4)), place + 4
    if length == CONTINUES:
        (length,), begin = unpack_from("<i", _read(stream, place + 4, 4)), place + 8
    if length == 0:  # the end of a stream
        return size, 0
    if not 0 < length <= size - begin:
        raise ValueError("a message goes beyond the end of the file")
    header = _read(stream, begin, length)
    message = unpack_from("<I", header)[0]
    body, end = begin + length, _field(header, message, 3)
    num_bytes = unpack_from("<q", header, end)[0] if end else 0
    if not 0 <= num_bytes <= size - body:
        raise ValueError("a message goes beyond the end of the file")
    kind = header[_field(header, message, 1)]
    batch = _child(header, message, 2)
    if kind == DICTIONARY_BATCH:
        batch = _child(header, batch, 1)
    claimed = 0
    if kind in (DICTIONARY_BATCH, RECORD_BATCH):
        is_packed = bool(_field(header, batch, 3))
        claimed = sum(unpack_from("<q", header, node)[0] for node in _vector(header, batch, 1, 16)) // 8
        for buffer in _vector(header, batch, 2, 16):
            offset, taken = unpack_from("<qq", header, buffer)
            if not 0 <= offset <= num_bytes - taken <= num_bytes:
                raise ValueError("a buffer goes beyond the end of its message")
            unpacked = unpack_from("<q", _read(stream, body + offset, 8))[0] if is_packed and taken >= 8 else CONTINUES
            claimed += taken if unpacked == CONTINUES else unpacked
    return body + num_bytes, claimed


def _read(stream: BinaryIO, place: int, length: int) -> bytes:
    stream.seek(place)
    return stream.read(length)


def _field(data: bytes, table: int, number: int) -> int:
    """The offset of a field of a table; 0 if it is absent."""
    names = table - unpack_from("<i", data, table)[0]
    if 4 + 2 * number >= unpack_from("<H", data, names)[0]:
        return 0
    offset: int = unpack_from("<H", data, names + 4 + 2 * number)[0]
    return table + offset if offset else 0


def _child(data: bytes, table: int, number: int) -> int:
    """The offset of the table that a field refers to."""
    place = _field(data, table, number)
    return place + int(unpack_from("<I", data, place)[0])


def _vector(data: bytes, table: int, number: int, width: int) -> range:
    """The offsets of the structs of a vector, given the bytes of each."""
    if not _field(data, table, number):
        return range(0)
    begin = _child(data, table, number)
    length = int(unpack_from("<I", data, begin)[0])
    if length > len(data) // width:
        raise ValueError("a header lists more entries than it holds")
    return range(begin + 4, begin + 4 + length * width, width)
