"""The answers of a list become one prefix tree: the prompt is run once, and so is each answer, whatever its pairs."""

from penchant.data import load_pairs
from penchant.tokens import ChatEncoder, Forest, Limits, pack, tokenise_pairs

LIST = {
    "prompt": "What is the sun? " * 5,
    "responses": [letter * 40 for letter in "abcde"],
    "scores": [3, 1, 2, 5, 4],
}


def test_each_answer_of_a_list_is_run_once_whatever_pairs_it_is_in(byte_tokenizer):
    items = tokenise_pairs(ChatEncoder(byte_tokenizer), load_pairs([LIST]).records, Limits(500, 400)).items
    different = {sequence.ids.tobytes(): sequence for item in items for sequence in item.sequences}.values()
    prompt = int((~items[0].chosen.scored).sum())
    once = prompt + sum(int(sequence.scored.sum()) for sequence in different)
    (batch,) = pack([item.sequences for item in items], once)
    planted = Forest.plant([sequence for index in batch for sequence in items[index].sequences])
    assert (len(items), len(different), planted.num_tokens) == (10, 5, once)
