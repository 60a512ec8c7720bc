"""`penchant annotate --chat`: a real model behind the page, and every option read or refused."""

import json
import re
import sys
from http.cookiejar import CookieJar
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from penchant.cli.main import main
from penchant.data import Message
from penchant.errors import ConfigError
from penchant.evaluation.talk_options import TalkOptions
from penchant.evaluation.talker import ModelTalker
from penchant.feedback import Project, Store
from penchant.feedback.web.chat import Talker
from penchant.models.load import load_model
from penchant.models.numerics import choose_numerics
from penchant.models.sampler import SamplingParams

from .test_command import fetch, running


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "x"], "--model is only read with --chat"),
        (["--chat-share", "0.5"], "--chat-share is only read with --chat"),
        (["--temperature", "0"], "--temperature is only read with --chat"),
        (["--max-new-tokens", "9"], "--max-new-tokens is only read with --chat"),
        (["--chat-template", "plain"], "--chat-template is only read with --chat"),
        (["--chat", "--temperature", "0"], "the same answer twice"),
        (["--chat", "--temperature", "-1"], "temperature must be 0 or from 1e-06 to 1e+06"),
        (["--chat", "--max-new-tokens", "0"], "--max-new-tokens must be a whole number of at least 1"),
        (["--chat", "--model", "no/such/folder"], "no/such/folder"),
    ],
)
def test_an_option_is_read_or_refused_before_anything_is_made(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.setattr(sys, "argv", ["penchant", "annotate", str(tmp_path / "votes"), "--port", "0", *options])
    with pytest.raises(SystemExit) as leaving:
        main()
    shown = capsys.readouterr()
    assert leaving.value.code == 2
    assert said in shown.err
    assert not (tmp_path / "votes").exists()


def test_answers_as_long_as_the_context_are_refused_at_the_start(tmp_path, monkeypatch, capsys, stories260k):
    options = ["--chat", "--model", str(stories260k), "--chat-template", "plain", "--max-new-tokens", "512"]
    monkeypatch.setattr(sys, "argv", ["penchant", "annotate", str(tmp_path / "votes"), "--port", "0", *options])
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 2
    assert "`--max-new-tokens 512`: leaves no room" in capsys.readouterr().err


def test_without_a_share_for_comparisons_temperature_zero_is_fine():
    TalkOptions(temperature=0.0, chat_share=0.0).check(is_on=True)
    with pytest.raises(ConfigError):
        TalkOptions(temperature=0.0).check(is_on=True)


@pytest.fixture(scope="module")
def talker(stories260k) -> Talker:
    model = load_model(str(stories260k), choose_numerics("cpu", "float32"), chat_template="plain")
    return ModelTalker(model, SamplingParams(temperature=0.8, max_new_tokens=20))


@pytest.mark.slow(threads=1)
def test_the_model_answers_by_the_seed_that_is_recorded(talker):
    said = [Message(role="user", content="Once upon a time")]

    def answers(seed, num=2):
        texts = [""] * num
        for number, piece in talker.reply(said, num, seed):
            texts[number] += piece
        return texts

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)
    assert answers(1)[0] != answers(1)[1]
    source = talker.source(7)
    assert (source.seed, source.temperature, source.top_p) == (7, 0.8, 1.0)
    assert source.model.endswith("@" + talker.model.digest[:12])


def test_it_knows_what_fits_into_its_context(talker):
    assert talker.fits([Message(role="user", content="Once")])
    assert not talker.fits([Message(role="user", content="word " * 2000)])
    room = talker.model.context_length - talker.params.max_new_tokens
    num = len(talker.model.encoder.encode_prompt([Message(role="user", content="a " * 100)]))
    assert talker.fits([Message(role="user", content="a " * 100)]) == (num <= room)


@pytest.mark.slow
def test_a_turn_with_a_real_model_is_recorded_with_its_digest(tmp_path, stories260k):
    project = tmp_path / "votes"
    options = ["--chat", "--model", stories260k, "--chat-template", "plain", "--chat-share", "1"]
    varied = ["--temperature", "1.5", "--max-new-tokens", "60"]  # two answers alike would leave nothing to choose
    with running(project, *options, *varied) as (_, link):
        base = link.split("/join/")[0]
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        fetch(opener, link)
        csrf = re.search(r'csrf-token" content="(\w+)"', fetch(opener, f"{base}/chat"))[1]

        def post(path, **body):
            headers = {"Origin": base, "X-CSRF-Token": csrf, "Content-Type": "application/json"}
            with opener.open(Request(base + path, json.dumps(body).encode(), headers), timeout=30) as response:
                return response.read().decode()

        version = json.loads(fetch(opener, f"{base}/api/chat"))["version"]
        lines = [json.loads(line) for line in post("/api/chat/replies", version=version, text="Once upon").splitlines()]
        assert len(lines) > 20
        view = lines[-1]["chat"]
        assert view["state"] == "choosing"
        body = {"version": view["version"], "key": "a-key-of-mine", "outcome": "right", "seconds": 2}
        assert json.loads(post("/api/chat/choices", **body))["messages"][1]["raw"] == view["right"]["raw"]
    with Store.open(Project.open(project)) as store:
        [vote] = store.comparisons()
    assert vote.annotator == "me"
    assert re.fullmatch(r".*@[0-9a-f]{12}", vote.a.source.model)
    assert vote.a.source.temperature == 1.5
