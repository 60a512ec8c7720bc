"""`penchant export` to one file and to the Hub; what cannot be is said before anything is written."""

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM

from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.training import hub


@pytest.fixture(scope="module")
def run(make_run):
    return make_run(lora=True)


@pytest.mark.slow(threads=1)
def test_an_adapter_becomes_one_file_and_a_modelfile_beside_it(penchant, run, tmp_path):
    file = tmp_path / "my.gguf"
    result = penchant("export", run, "--gguf", file, "--gguf-type", "q8_0", "--ollama")
    assert result.code == 0, result.err
    assert result.out.split() == [str(file), str(tmp_path / "Modelfile")]
    assert "adapter folded into its model, q8_0, 344.7 kB" in result.err
    assert "de-quantizing" not in result.err
    assert (tmp_path / "Modelfile").read_text().startswith("FROM ./my.gguf\nTEMPLATE")
    ids = torch.tensor([[1, 403, 407, 261, 378]])
    policy = load_model(str(run), choose_numerics("cpu", "float32"), share=False)
    with torch.no_grad():
        said = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="my.gguf")(input_ids=ids).logits
        assert torch.allclose(said, policy.network(input_ids=ids).logits, atol=0.5)
    assert gguf.GGUFReader(file).fields["tokenizer.chat_template"].contents() == policy.encoder.template
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Modelfile", "my.gguf"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "nothing to write is named; give --merged for a folder, --gguf for a GGUF file"),
        (("--gguf", "x.gguf", "--gguf-type", "q4_0"), "--gguf-type must be one of f32, f16, q8_0, got 'q4_0'"),
        (("--gguf", "there"), "there: exists; choose another --gguf"),
        (("--merged", "x", "--gguf-type", "f16"), "--gguf-type is only read with --gguf; give both"),
        (("--merged", "x", "--ollama"), "--ollama is only read with --gguf; give both"),
        (("--gguf", "x.gguf", "--dtype", "float16"), "--dtype is only read with --merged; give both"),
        (("--merged", "x", "--no-private"), "--private is only read with --push; give both"),
        (
            ("--gguf", "x.gguf", "--push", "me/mine"),
            "--push uploads the folder of --merged, which is not given; give both",
        ),
        (("--merged", "x", "--push", "mine"), "--push must be a repository on the Hub, owner/name, got 'mine'"),
        (("--gguf", "x.gguf", "--ollama"), "Modelfile: exists; remove it"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence_before_anything_is_written(
    penchant, run, given, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("there", "Modelfile"):
        (tmp_path / name).write_text("mine")
    result = penchant("export", run, *given)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("penchant: ") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Modelfile", "there"]


def test_a_reward_model_is_refused_before_it_is_loaded(penchant, tmp_path):
    folder = tmp_path / "reward"
    folder.mkdir()
    (folder / "config.json").write_text('{"architectures": ["LlamaForSequenceClassification"]}')
    result = penchant("export", folder, "--gguf", tmp_path / "x.gguf", "--merged", tmp_path / "m")
    assert result.code == 2
    assert result.err == (
        f"penchant: {folder}: a reward model cannot be written as a GGUF file; give --merged for a folder\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["reward"]


class Hub:
    """Stands in for the Hub: who is logged in, what is there, and what it was sent."""

    def __init__(self, there=None, refuses=None):
        self.there, self.refuses, self.sent = there or {}, refuses, {}

    def __call__(self):
        return self

    def whoami(self):
        if self.refuses:
            raise self.refuses

    def repo_info(self, name, repo_type):
        from types import SimpleNamespace

        from huggingface_hub.errors import RepositoryNotFoundError

        if name not in self.there:
            raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)
        return SimpleNamespace(private=self.there[name])

    def create_repo(self, name, *, repo_type, private, exist_ok):
        self.there.setdefault(name, private)

    def upload_folder(self, *, repo_id, folder_path, repo_type, commit_message):
        self.sent[repo_id] = {file.name: file.read_bytes() for file in folder_path.iterdir()}


@pytest.fixture
def send_to(monkeypatch):
    def send(there):
        monkeypatch.setattr("huggingface_hub.HfApi", there)
        return there

    return send


@pytest.mark.slow(threads=1)
@pytest.mark.parametrize("private", [True, False])
def test_the_folder_is_sent_with_its_card_to_a_repository_that_nobody_else_reads_unless_asked(
    penchant, run, send_to, tmp_path, private
):
    (run / "model" / "README.md").write_text("---\nlibrary_name: transformers\n---\n")
    there = send_to(Hub())
    result = penchant(
        "export", run, "--merged", tmp_path / "m", "--push", "me/mine", *(() if private else ("--no-private",))
    )
    assert result.code == 0, result.err
    assert result.out.split() == [str(tmp_path / "m"), "https://huggingface.co/me/mine"]
    assert there.there == {"me/mine": private}
    sent = there.sent["me/mine"]
    assert {"model.safetensors", "config.json", "tokenizer.json", "README.md", "provenance.json"} <= set(sent)
    assert b"library_name" in sent["README.md"]


def test_who_is_not_logged_in_or_not_connected_is_told_before_the_export(penchant, run, send_to, tmp_path):
    from huggingface_hub.errors import LocalTokenNotFoundError

    send_to(Hub(refuses=LocalTokenNotFoundError("Token is required, but no token found.")))
    result = penchant("export", run, "--merged", tmp_path / "m", "--push", "me/mine")
    assert (result.code, "me/mine: you are not logged in to the Hub; run `hf auth login`" in result.err) == (2, True)
    send_to(Hub(refuses=ConnectionError("no route to host")))
    result = penchant("export", run, "--merged", tmp_path / "m", "--push", "me/mine")
    assert (result.code, "upload to the Hub failed (no route to host); check the network" in result.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_private_model_is_not_sent_where_everybody_reads(penchant, run, send_to, tmp_path):
    there = send_to(Hub({"me/mine": False}))
    result = penchant("export", run, "--merged", tmp_path / "m", "--push", "me/mine")
    assert result.code == 2
    assert "this repository exists and is public" in result.err
    assert there.sent == {}
    assert list(tmp_path.iterdir()) == []
    send_to(Hub({"me/mine": True}))
    assert penchant("export", run, "--merged", tmp_path / "m", "--push", "me/mine").code == 0


def test_the_hub_is_asked_by_methods_that_it_has():
    import inspect

    from huggingface_hub import HfApi

    for name in ("whoami", "repo_info", "create_repo", "upload_folder"):
        wanted = set(inspect.signature(getattr(Hub, name)).parameters) - {"self", "name"}
        assert wanted <= set(inspect.signature(getattr(HfApi, name)).parameters), name
    assert hub.NAME.fullmatch("owner/name-1.0_x")
