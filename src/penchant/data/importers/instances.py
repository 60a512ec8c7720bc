"""Import instruction, instances: a task with its inputs and outputs, as in self-instruct's seeds and test set.

Each instance becomes a demonstration, or a prompt where prompts are read. Source: Wang et al. 2022,
"Self-Instruct" (arXiv 2212.10560).
"""

from penchant.data.files import Row
from penchant.data.importers.alpaca import ALPACA, question_of
from penchant.data.importers.base import BESIDE, Importer, field, filled, opened, text_field
from penchant.data.importers.prompts import make_prompt
from penchant.data.importers.values import kind_of, says_nothing
from penchant.data.records import Demonstration, Prompt
from penchant.data.verdicts import BadRow

__all__ = ["INSTANCES", "PROMPT_INSTANCES"]

NEEDS = ("instruction", "instances")
OF_INSTANCE = frozenset(("input", "output"))


def instances_of(row: Row) -> list[Row]:
    """One row per instance, with its input and output beside the instruction. Raises BadRow."""
    found = field(row, "instances")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        reason = f"'instances' must be a list of objects, got {kind_of(found)}"
        raise BadRow("bad_type", reason, 'write [{"input": ..., "output": ...}]')
    if strange := [name for one in found for name in one if name not in OF_INSTANCE and not says_nothing(one[name])]:
        raise BadRow("unread_field", f"an instance holds '{strange[0]}', which is not read", "remove it")
    return [{**row, "input": one.get("input"), "output": one.get("output")} for one in found]


def prompt_of(row: Row, number: int, of: int) -> Prompt:
    """The prompt of one instance; if a row has several, each id is the row's id with a number appended."""
    if of > 1 and row.get("id") is not None:
        row = {**row, "id": f"{row['id']}-{number}"}
    text_field(row, "instruction")
    return make_prompt(row, opened(row, question_of(row)))


def prompts_of(row: Row) -> tuple[Prompt, ...]:
    """One prompt for every instance."""
    rows = instances_of(row)
    return tuple(prompt_of(one, number, len(rows)) for number, one in enumerate(rows, 1))


def demonstrations_of(row: Row) -> tuple[Demonstration, ...]:
    """One demonstration for every instance."""
    return tuple(ALPACA.convert(one) for one in instances_of(row))


_EXAMPLE = {"instruction": "Name the star.", "instances": [{"input": "It is the nearest one.", "output": "The sun."}]}
_DESCRIPTION = "instruction, instances ([{input, output}])"
_READS = BESIDE.union(NEEDS, ("history",))
_HARMLESS = frozenset(("name", "is_classification", "motivation_app"))

INSTANCES = Importer(
    name="instances",
    description=_DESCRIPTION,
    example=_EXAMPLE,
    needs=NEEDS,
    matches=lambda row: filled(row, *NEEDS),
    convert=demonstrations_of,
    reads=_READS,
    harmless=_HARMLESS,
)

PROMPT_INSTANCES = Importer(
    name="prompt_instances",
    description=_DESCRIPTION,
    example=_EXAMPLE,
    needs=NEEDS,
    matches=lambda row: filled(row, *NEEDS),
    convert=prompts_of,
    reads=_READS | {"id"},
    harmless=_HARMLESS,
)
