"""Reorder the results of parallel tool calls to the order of their calls, which most chat templates assume.

A result names its call by id or by the function's name. A result that names neither keeps the position of its call;
beside others that are out of order it belongs to the only call they leave, and if they leave several the row is
refused.
"""

import json
from collections.abc import Sequence

from penchant.data.records import Message
from penchant.data.verdicts import BadRow
from penchant.wording import shown

__all__ = ["in_order_of_calls"]


def in_order_of_calls(messages: Sequence[Message], name: str) -> list[Message]:
    """The same messages, with the results after each message of several calls in call order. Raises BadRow."""
    ordered: list[Message] = []
    start = 0
    for index, message in enumerate(messages):
        if message.tool_calls is None or index < start:
            continue
        end = index + 1
        while end < len(messages) and messages[end].role == "tool":
            end += 1
        ordered += messages[start : index + 1]
        ordered += _ordered(message.tool_calls, messages[index + 1 : end], f"{name}[{index}]")
        start = end
    return [*ordered, *messages[start:]]


def _ordered(calls: str, results: Sequence[Message], name: str) -> Sequence[Message]:
    called = [(call.get("id"), call["function"]["name"]) for call in json.loads(calls)]
    if len(called) < 2 or len(results) < 2:
        return results
    theirs = [_of(result, called) for result in results]
    if all(not places or index in places for index, places in enumerate(theirs)):
        return results
    if (places := _assigned(theirs, len(called))) is None:
        reason = f"the results after '{name}' are not in the order of its calls, and one could belong to several calls"
        raise BadRow("bad_type", reason, "give each the id of its call, 'tool_call_id', or write them in that order")
    return [result for _, result in sorted(zip(places, results, strict=True), key=lambda one: one[0])]


def _assigned(theirs: Sequence[set[int]], num_calls: int) -> list[int] | None:
    """The call of each result, where the results name them; None where a choice remains.

    Results of the same function keep their order if there are as many as calls to it. A result that names nothing
    takes the call left over, if there is exactly one.
    """
    places: dict[int, int] = {}
    while len(places) < len(theirs):
        left = set(range(num_calls)) - set(places.values())
        free = {index: one & left if one else left for index, one in enumerate(theirs) if index not in places}
        alike = next(
            (same for one in free.values() if len(same := [i for i in free if free[i] == one]) == len(one)), None
        )
        if alike is None or (len(alike) > 1 and not all(theirs[index] for index in alike)):
            return None
        places |= zip(alike, sorted(free[alike[0]]), strict=True)
    return [places[index] for index in range(len(theirs))]


def _of(result: Message, called: Sequence[tuple[str | None, str]]) -> set[int]:
    """The calls that a result may belong to by what it names; empty if it names no known call.

    Raises BadRow where its id and its name point to different calls.
    """
    by_id = {place for place, (own, _) in enumerate(called) if own is not None and own == result.tool_call_id}
    by_name = {place for place, (_, function) in enumerate(called) if function == result.name}
    if by_id and by_name and not by_id & by_name:
        reason = (
            f"a result has the id {shown(result.tool_call_id)} of one call and the name {shown(result.name)} of another"
        )
        raise BadRow("bad_type", reason, "correct one of them")
    return by_id & by_name or by_id or by_name
