"""Several ranks say the same, end together, and give the gradient, the metrics and the samples of one process."""

from dataclasses import dataclass

import pytest
import torch

from penchant import ranks
from penchant.data import labelled_from_pairs, load_pairs
from penchant.errors import ConfigError, DataError, TrainingError
from penchant.models import adapters
from penchant.models.live_reference import LiveReference
from penchant.objectives import LABELLED_OBJECTIVES, OBJECTIVES, bind, bind_token_weights
from penchant.tokens import Limits, deal, tokenise_labelled
from penchant.training.coupled import CoupledTask
from penchant.training.held_out import evaluate_task
from penchant.training.loop import accumulate
from penchant.training.preferences import PreferenceTask
from penchant.training.reference import reference_logprobs
from penchant.training.samples import FixedPrompts
from penchant.training.single_responses import LabelledTask

BETA = 0.3


@pytest.fixture
def labelled(model, pairs_file):
    records = labelled_from_pairs(load_pairs(pairs_file).records)
    return tokenise_labelled(model.encoder, records, Limits(200, 150)).items


def test_each_rank_hears_all(in_ranks):
    said = [{"rank": rank, "none": None, "nan": [1.5]} for rank in range(3)]
    assert in_ranks(3, lambda rank: ranks.gather(said[rank])) == [said] * 3
    assert ranks.gather(said[0]) == [said[0]], "and one that is alone hears itself"


def test_what_is_dealt_out_comes_back_in_order(in_ranks):
    for size in (1, 2, 3, 4):
        assert (
            in_ranks(size, lambda _: ranks.collect([10 * n for n in ranks.dealt(range(7))]))
            == [[0, 10, 20, 30, 40, 50, 60]] * size
        )


def test_tensors_are_added_up_and_put_together(in_ranks):
    def work(rank):
        tensor = torch.full((2, 3), float(rank))
        ranks.add_up([tensor])
        whole, own = ranks.concatenate(torch.arange(rank) + 0.1 * rank)
        return float(tensor.sum()), whole.tolist(), whole[own].tolist()

    whole = pytest.approx([0.1, 0.2, 1.2])
    assert in_ranks(3, work) == [(18.0, whole, []), (18.0, whole, pytest.approx([0.1])), (18.0, whole, whole_of(2))]


def whole_of(rank):
    return pytest.approx([i + 0.1 * rank for i in range(rank)])


def test_the_first_goes_ahead_and_what_it_finds_is_told(in_ranks):
    order = []

    def work(rank):
        with ranks.first_goes_ahead():
            order.append(rank)
        return ranks.first(lambda: f"by {rank}")

    assert in_ranks(3, work) == ["by 0"] * 3
    assert order[0] == 0


def test_what_one_rank_fails_with_all_end_with(in_ranks):
    def work(rank):
        ranks.gather(rank)
        if rank == 1:
            raise DataError("pairs.jsonl:3: no prompt")
        ranks.add_up([torch.zeros(2)])

    ended = in_ranks(3, work)
    assert [(type(error), str(error)) for error in ended] == [(DataError, "pairs.jsonl:3: no prompt")] * 3


def test_a_fault_on_one_rank_is_told_with_its_name(in_ranks):
    ended = in_ranks(2, lambda rank: ranks.gather(rank) if rank == 0 else {}["missing"])
    assert isinstance(ended[0], TrainingError)
    assert str(ended[0]) == "process 2 of 2 failed: KeyError: 'missing'"


def test_a_rank_with_other_data_is_refused(in_ranks):
    def work(rank):
        ranks.require_same({"data": "abc" if rank < 2 else "other", "model weights": "same"})

    for error in in_ranks(3, work):
        assert isinstance(error, ConfigError)
        assert str(error).startswith("process 3 of 3 and the first process have different inputs (data)")


def test_trees_of_one_prompt_stay_together_and_every_part_has_about_as_many_tokens(pairs):
    items = [pair.sequences for pair in pairs]
    assert deal(items, 1) == [list(range(len(items)))]
    for num in (2, 3, 4):
        parts = deal(items, num)
        assert sorted(i for part in parts for i in part) == list(range(len(items)))
        prompts = [{items[i][0].context for i in part} for part in parts]
        assert sum(map(len, prompts)) == len(set.union(*prompts)), "no prompt lies in two parts"
        scored = [sum(int(s.scored.sum()) for i in part for s in items[i]) for part in parts]
        assert max(scored) < 2 * min(scored)
    assert [len(part) for part in deal(items[:2], 4)].count(0) == 3, "two pairs of one prompt are one tree"


@dataclass(frozen=True)
class Case:
    """A model, what it is trained on, and the gradient of one process."""

    model: object
    task: object
    items: list

    def gradient(self):
        model = self.model.copy()  # each rank has one of its own
        parameters = [p for p in model.network.parameters() if p.requires_grad]
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        result = accumulate(model, self.task, self.items, parameters, token_budget=100, max_grad_norm=1e9)
        whole = torch.cat([p.grad.flatten() for p in parameters])
        return whole, result.means, sorted(result.margins), result.grad_norm


def references_of(model, items):
    """No two alike, so that what sorts margins has no ties to break."""
    scores = reference_logprobs(model, [s for item in items for s in item.referenced], None, token_budget=500)
    return {key: scores[key] + 0.5 * (i % 3) + 0.07 * i - 0.3 for i, key in enumerate(sorted(scores))}


def live_of(model):
    """A reference some way off."""
    random = torch.Generator().manual_seed(2)
    start = LiveReference.of(model).start
    return LiveReference(start={n: p + 0.03 * torch.randn(p.shape, generator=random) for n, p in start.items()})


def cases_of(model, pairs, labelled):
    """Every objective on this model."""
    reference = references_of(model, pairs)
    for name, row in OBJECTIVES.items():
        weights = bind_token_weights(row)
        items = [p.weigh_tokens(lambda *n, w=weights: w(*n).numpy()) for p in pairs] if weights else pairs
        kind = CoupledTask if row.batch_coupled else PreferenceTask
        own = references_of(model, items) if weights else reference
        live = live_of(model) if "kl" in row.reads else None
        yield name, Case(model, kind(bind(row), row.defaults.get("beta", 1.0), own, live=live), items)
    of_labelled = references_of(model, labelled)
    for name, row in LABELLED_OBJECTIVES.items():
        yield name, Case(model, LabelledTask(bind(name, beta=BETA), BETA, of_labelled, row), labelled)


def prepared(model, kind):
    """The model with a head that is tied to the embedding or not, or with an adapter."""
    if kind == "untied":
        head = model.causal_lm.get_output_embeddings()
        head.weight = torch.nn.Parameter(head.weight.detach().clone() + 0.01)
    if kind == "lora":
        adapters.attach(model, 4, 8.0, (), seed=0)
        for name, parameter in model.network.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
    return model


SOME = ("dpo", "ld_dpo", "aot", "kto", "bco", "tdpo2")
"""One of each way to a gradient."""


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(
    ("kind", "size", "names"),
    [
        ("tied", 2, (*OBJECTIVES, *LABELLED_OBJECTIVES)),
        ("tied", 3, SOME),
        ("tied", 4, SOME),
        ("untied", 3, SOME),
        ("lora", 2, SOME),
        ("lora", 4, SOME),
    ],
    ids=lambda value: str(value) if not isinstance(value, tuple) else str(len(value)),
)
def test_the_gradient_of_several_ranks_is_that_of_one_process(in_ranks, model, pairs, labelled, kind, size, names):
    model = prepared(model, kind)
    cases = {name: case for name, case in cases_of(model, pairs[:8], labelled[:8]) if name in names}
    alone = {name: case.gradient() for name, case in cases.items()}
    for of_rank in in_ranks(size, lambda _: {name: case.gradient() for name, case in cases.items()}):
        assert isinstance(of_rank, dict), of_rank
        for name, (gradient, means, margins, norm) in of_rank.items():
            expected, expected_means, expected_margins, expected_norm = alone[name]
            assert expected.norm() > 0, name
            assert float((gradient - expected).norm() / expected.norm()) < 1e-4, name
            assert means == pytest.approx(expected_means, rel=1e-4, abs=1e-5), name
            assert norm == pytest.approx(expected_norm, rel=1e-4), name
            assert [origin for origin, _ in margins] == [origin for origin, _ in expected_margins], name


@pytest.mark.slow(threads=1)
def test_a_rank_to_which_nothing_of_a_batch_falls_changes_nothing(in_ranks, model, pairs, labelled):
    """As the last batch of an epoch may have fewer prompts than there are ranks."""
    cases = {
        name: case for name, case in cases_of(model, pairs[:4], labelled[:4]) if name in ("dpo", "aot", "kto", "bco")
    }
    assert [len(part) for part in deal([pair.sequences for pair in pairs[:4]], 3)].count(0) == 1
    alone = {name: case.gradient() for name, case in cases.items()}
    for of_rank in in_ranks(3, lambda _: {name: case.gradient() for name, case in cases.items()}):
        assert isinstance(of_rank, dict), of_rank
        for name, (gradient, means, _, _) in of_rank.items():
            assert float((gradient - alone[name][0]).norm() / alone[name][0].norm()) < 1e-4, name
            assert means == pytest.approx(alone[name][1], rel=1e-4, abs=1e-5), name


@pytest.mark.slow(threads=1)
def test_references_held_out_metrics_and_samples_are_those_of_one_process(in_ranks, model, pairs):
    def work(_):
        own = model.copy()
        reference = reference_logprobs(own, [s for pair in pairs for s in pair.sequences], None, token_budget=100)
        task = PreferenceTask(bind("dpo"), 0.1, {key: value + key[0] / 100 for key, value in reference.items()})
        rows = FixedPrompts((pair.sequences[0] for pair in pairs), 5, 8).answer(own, step=3)
        return dict(reference), evaluate_task(own, task, pairs, 100), rows

    reference, measured, rows = work(None)
    for of_rank in in_ranks(3, work):
        assert of_rank[0] == reference, "to the last bit: who runs beside whom does not depend on the ranks"
        # a reward is beta times the difference of two sums of log-probs, in float32
        limits = {
            name: (of_rank[1].pop(name), measured[name]) for name in ("eval_rewards/ece_low", "eval_rewards/ece_high")
        }
        assert of_rank[1] == pytest.approx({name: measured[name] for name in of_rank[1]}, rel=1e-6, abs=1e-5)
        # of resamples in bins, of which the last bit of a reward may move a pair into the next
        assert all(found == pytest.approx(expected, abs=0.01) for found, expected in limits.values())
        assert of_rank[2] == rows
