"""People as a judge: comparisons become tasks of an annotation project, and return with people's answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

from penchant.data import Comparison
from penchant.data.records import Outcome
from penchant.errors import DataError
from penchant.evaluation.judges.protocol import Judgement

__all__ = ["PeopleJudge"]


@dataclass(frozen=True)
class PeopleJudge:
    """project: its folder, created if missing. tasks: the prefix of its task names.

    People answer in their own time, so `answers` returns those that exist and adds the rest as tasks: call it again.
    """

    project: Path
    tasks: str
    name: ClassVar[str] = "people"
    price: ClassVar[str] = "their time"
    asks_once: ClassVar[bool] = True

    def answers(
        self, comparisons: Sequence[Comparison], *, has_answered: bool = False
    ) -> Generator[tuple[int, Judgement], None, None]:
        """Yield (place, judgement) of each comparison that has its answers, in order.

        Each is a task `tasks/ID` of the project; adding it twice changes nothing. A task is answered when it has the
        project's number of answers (`overlap`), or an adjudicator's; the majority decides, and a tied vote is a tie.
        Identical responses are a tie without asking; an empty response cannot be asked about.

        Raises ConfigError or DataError for a project that cannot be used, or that holds another task under one of these
        names; then no task is added.
        """
        votes, overlap = self._votes([one for one in comparisons if self.can_answer(one)])
        for place, comparison in enumerate(comparisons):
            given = votes.get(self._task_of(comparison), []) if self.can_answer(comparison) else []
            if comparison.a.text.strip() == comparison.b.text.strip():
                yield place, Judgement("tie", people=())
            elif len(given) >= overlap or any(_is_adjudication(vote) for vote in given):
                yield place, _settled(given)

    def can_answer(self, comparison: Comparison) -> bool:
        """Whether people can be asked: both responses are non-empty and different."""
        a, b = comparison.a.text.strip(), comparison.b.text.strip()
        return bool(a) and bool(b) and a != b

    def _task_of(self, comparison: Comparison) -> str:
        return f"{self.tasks}/{comparison.id}"

    def _votes(self, comparisons: Sequence[Comparison]) -> tuple[dict[str, list[Comparison]], int]:
        """The votes on each task, adding missing tasks, and the project's number of answers per task."""
        from penchant.feedback import Store
        from penchant.feedback.training import votes_by_task

        asked = [one.model_copy(update={"id": self._task_of(one), "outcome": None}) for one in comparisons]
        with Store.of(self.project, create=True) as store:
            if refused := store.add_tasks(asked, origin=self.tasks, all_or_none=True).refused:
                raise DataError(
                    f"{self.project}: {len(refused)} of {len(asked)} comparisons cannot be asked, so none was added "
                    f"(the first: {refused[0]}); correct that, or begin the round again"
                )
            votes, _ = votes_by_task(store.comparisons())
            return votes, store.project.config.overlap


def _is_adjudication(vote: Comparison) -> bool:
    from penchant.feedback.training import detail

    return detail(vote, "kind") == "adjudication"


def _settled(votes: Sequence[Comparison]) -> Judgement:
    from penchant.feedback.training import verdict

    said = verdict(votes)
    counts = Counter(str(vote.outcome) for vote in votes)
    names = sorted({vote.annotator or "somebody" for vote in votes})
    outcome = cast("Outcome", "tie" if said == "tied" else said)
    return Judgement(outcome, {name: counts[name] for name in sorted(counts)}, people=tuple(names))
