"""llama.cpp reads what was written: the same tokens, the same prompt, the same greedy text."""

import json
import urllib.request
from dataclasses import dataclass

import pytest
import torch
from transformers import LlamaConfig, Qwen2Config, Qwen3Config

from penchant.models.gguf import save_gguf
from penchant.models.load import load_model

xllamacpp = pytest.importorskip("xllamacpp", reason="needs llama.cpp: pip install xllamacpp")

TEXTS = (
    "Once upon a time",
    " two  spaces\n\nand new lines \r\n\t",
    "I'll pay 12345 dollars, don't we'LL?",
    "日本語 naïve Ünïcode 😀",
    "<s>user\nHello</s>",
)


class LlamaCpp:
    """llama.cpp's server in this process, asked over its port."""

    def __init__(self, file):
        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.n_parallel, params.port = str(file), 256, 1, 0
        params.warmup = params.fit_params = False
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        self.server = xllamacpp.Server(params)

    def ask(self, path, **body):
        url, head = self.server.listening_address + path, {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)) as answer:
            return json.load(answer)


@dataclass(frozen=True)
class Compared:
    """read, prompt, written: (llama.cpp's, transformers') tokens of texts, rendered prompt and greedy tokens.

    gap: the largest difference of a log-prob of a token that both wrote, in nats.
    """

    read: tuple[list[list[int]], list[list[int]]]
    prompt: tuple[str, str]
    written: tuple[list[int], list[int]]
    gap: float


def compared(model, file, length=24):
    program, tokenizer = LlamaCpp(file), model.tokenizer
    theirs = [program.ask("/tokenize", content=t, add_special=False, parse_special=True)["tokens"] for t in TEXTS]
    ours = [tokenizer(text, add_special_tokens=False).input_ids for text in TEXTS]
    theirs.append(program.ask("/tokenize", content="Once upon", add_special=True)["tokens"])
    ours.append(tokenizer("Once upon").input_ids)
    asked = [{"role": "user", "content": "Name three colours."}]
    prompt = program.ask("/apply-template", messages=asked)["prompt"]
    ids = tokenizer("Once upon a time there was").input_ids
    told = program.ask("/completion", prompt=ids, n_predict=length, temperature=0, n_probs=1, return_tokens=True)
    with torch.no_grad():
        greedy = model.network.generate(torch.tensor([ids]), max_new_tokens=length, do_sample=False)[0, len(ids) :]
        said = torch.log_softmax(model.network(torch.tensor([ids + greedy.tolist()])).logits[0], dim=-1)
    places, gaps = enumerate(told["tokens"], len(ids) - 1), []
    for token in told["completion_probabilities"]:  # llama.cpp leaves out tokens that are half a character
        place = next(place for place, other in places if other == token["id"])
        gaps.append(abs(token["logprob"] - float(said[place, token["id"]])))
    return Compared(
        read=(theirs, ours),
        prompt=(prompt, tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)),
        written=(told["tokens"], greedy.tolist()[: len(told["tokens"])]),
        gap=max(gaps),
    )


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
FAMILIES = {
    "llama": lambda sizes: LlamaConfig(**sizes, rope_parameters={"rope_type": "default", "rope_theta": 1234.0}),
    "llama with scaled positions": lambda sizes: LlamaConfig(**sizes, rope_parameters=LLAMA3),
    "qwen2": lambda sizes: Qwen2Config(**sizes, tie_word_embeddings=True),
    "qwen3": lambda sizes: Qwen3Config(**sizes, head_dim=64),
}


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_writes_the_same_greedy_text_in_llama_cpp(name, make_folder, sizes, cpu, tmp_path):
    folder = make_folder(FAMILIES[name](sizes | {"hidden_size": 64, "intermediate_size": 96}))
    model = load_model(str(folder), cpu, share=False)
    save_gguf(model, tmp_path / "model.gguf", "f32")
    found = compared(model, tmp_path / "model.gguf")
    assert found.read[0] == found.read[1]
    assert found.prompt[0] == found.prompt[1]
    assert found.written[0] == found.written[1]
    assert len(found.written[0]) > 12
    assert found.gap < 0.05


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize(("kind", "atol"), [("f16", 0.01), ("q8_0", 0.2)])
def test_a_sentencepiece_model_of_stories_is_the_same_in_llama_cpp(kind, atol, stories260k, cpu, tmp_path):
    model = load_model(str(stories260k), cpu, share=False, chat_template="plain")
    model.tokenizer.chat_template = model.encoder.template
    save_gguf(model, tmp_path / "model.gguf", kind)
    found = compared(model, tmp_path / "model.gguf")
    assert found.read[0] == found.read[1]
    assert found.prompt[0] == found.prompt[1]
    assert found.written[0] == found.written[1]
    assert len(found.written[0]) > 12
    assert found.gap < atol


@pytest.mark.slow
def test_the_starter_model_is_the_same_in_llama_cpp(cpu, tmp_path):
    model = load_model("smollm2-135m", cpu, share=False)
    save_gguf(model, tmp_path / "model.gguf", "f16")
    found = compared(model, tmp_path / "model.gguf")
    assert found.read[0] == found.read[1]
    assert found.prompt[0] == found.prompt[1]
    assert found.written[0] == found.written[1]
    assert len(found.written[0]) > 12
    assert found.gap < 0.05
