"""`penchant sample` into a file that is there: what others asked stays, and what cannot be gone on with is refused."""

import json

import pytest

ANIMALS = ("cat", "dog", "bird", "fish", "bear")


@pytest.fixture(scope="module")
def sample(penchant, stories260k):
    def run(prompts, output, *options):
        story = ["--model", stories260k, "--chat-template", "plain", "--max-new-tokens", "6"]
        return penchant("sample", *story, "--prompts", prompts, "--output", output, *options)

    return run


@pytest.fixture
def no_model(monkeypatch):
    def load(*_args, **_options):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("penchant.models.load.read_network", load)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("again")


def ask(path, animals):
    path.write_text("".join(f"Once there was a {animal} who\n" for animal in animals), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def prompts(folder):
    return ask(folder / "prompts.txt", ANIMALS)


@pytest.fixture(scope="module")
def samples(sample, prompts, folder):
    """Two responses to each of the prompts, as bytes."""
    path = folder / "samples.jsonl"
    assert sample(prompts, path).code == 0
    return path.read_bytes()


def write(path, content):
    path.write_bytes(content)
    return path


def wrong_in_refusal(result, path, content, *words):
    """Whatever is not as it must be where a file is refused: the code, the words, the file, no scratch beside it."""
    wrong = [f"exit code {result.code}: {result.err}"] * (result.code != 2)
    wrong += [f"'{word}' is not in: {result.err}" for word in words if word not in result.err]
    wrong += ["the file has changed"] * (path.read_bytes() != content)
    return wrong + [f"{other.name} was left" for other in path.parent.iterdir() if other.name.startswith(".")]


def test_rows_of_other_prompts_stay_as_they_are_when_new_ones_are_asked(sample, samples, tmp_path):
    path = write(tmp_path / "s.jsonl", samples)
    result = sample(ask(tmp_path / "more.txt", ["frog", "cow"]), path, "--resume")
    assert result.code == 0, result.err
    assert "2 prompts answered," in result.err
    assert path.read_bytes().startswith(samples)
    added = [json.loads(line) for line in path.read_bytes()[len(samples) :].splitlines()]
    assert ["frog" in row["prompt"][0]["content"] for row in added] == [True, False]


def test_asking_for_fewer_prompts_leaves_the_longer_file_as_it_is(sample, samples, prompts, tmp_path):
    path = write(tmp_path / "s.jsonl", samples)
    result = sample(prompts, path, "--max-prompts", "2", "--resume")
    assert (result.code, "(2 were there)" in result.err) == (0, True), result.err
    assert path.read_bytes() == samples


def test_the_prompts_that_are_asked_are_put_in_order_in_their_places_among_the_others(
    sample, samples, prompts, tmp_path
):
    lines = samples.splitlines(keepends=True)
    path = write(tmp_path / "s.jsonl", lines[2] + lines[4] + lines[0])
    assert sample(prompts, path, "--max-prompts", "3", "--resume").code == 0
    assert path.read_bytes().splitlines(keepends=True) == [lines[0], lines[4], lines[1], lines[2]]


@pytest.mark.slow(threads=1)
def test_a_torn_last_line_is_sampled_again_and_a_whole_one_without_its_end_is_kept(sample, samples, prompts, tmp_path):
    for cut in (-1, -2, -40):
        path = write(tmp_path / f"{cut}.jsonl", samples[:cut])
        result = sample(prompts, path, "--resume")
        assert f"({5 if cut == -1 else 4} were there)" in result.err
        assert path.read_bytes() == samples


@pytest.mark.slow(threads=1)
def test_a_prompt_with_only_some_of_its_rows_is_sampled_again(sample, prompts, tmp_path):
    path = tmp_path / "s.jsonl"
    assert sample(prompts, path, "--num-responses", "3", "--max-prompts", "2").code == 0
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    again = sample(prompts, path, "--num-responses", "3", "--max-prompts", "2", "--resume")
    assert (again.code, "1 prompts answered (1 were there)" in again.err) == (0, True), again.err
    assert path.read_bytes() == whole


@pytest.mark.parametrize("number", ["1", "3", "4"])
def test_another_number_of_responses_is_refused_before_a_model_is_loaded(
    sample, samples, prompts, tmp_path, no_model, number
):
    path = write(tmp_path / "s.jsonl", samples)
    result = sample(prompts, path, "--num-responses", number, "--resume")
    assert not wrong_in_refusal(result, path, samples, f"{path}:1: ", f"--num-responses {number}")


@pytest.mark.parametrize("animal", ["cat", "frog"])
@pytest.mark.parametrize("option", ["--max-new-tokens", "--top-k", "--seed"])
def test_rows_sampled_with_other_settings_are_refused_whatever_is_asked(sample, samples, tmp_path, animal, option):
    path = write(tmp_path / "s.jsonl", samples)
    asked = ask(tmp_path / "p.txt", [animal])
    result = sample(asked, path, option, "7", "--resume")
    assert not wrong_in_refusal(result, path, samples, f"{path}:1: ", option[2:].replace("-", "_") + " 7")


def test_a_file_that_does_not_say_how_long_a_response_could_get_is_gone_on_with(sample, samples, prompts, tmp_path):
    old = samples.replace(b'"max_new_tokens": 6, ', b"")
    assert old != samples
    path = write(tmp_path / "s.jsonl", b"".join(old.splitlines(keepends=True)[:3]))
    assert sample(prompts, path, "--resume").code == 0
    assert path.read_bytes().splitlines() == old.splitlines()[:3] + samples.splitlines()[3:]


@pytest.mark.parametrize(
    ("bad", "number"),
    [
        (b"my notes\n", 1),
        (b"my notes", 1),
        (b'{"prompt": "Once", "chosen": "a", "rejected": "b"}\n', 1),
        (b'{"id": 1}', 1),
        (b"[]\n", 1),
        (b'SAMPLES{"id": \n', 6),
        (b'SAMPLES{"id": "x", "prompt": [], "completion": "y"}\n', 6),
    ],
)
def test_a_file_with_a_line_that_is_no_sample_is_refused_and_left_as_it_is(
    sample, samples, prompts, tmp_path, no_model, bad, number
):
    content = bad.replace(b"SAMPLES", samples)
    path = write(tmp_path / "s.jsonl", content)
    result = sample(prompts, path, "--resume")
    assert not wrong_in_refusal(result, path, content, f"{path}:{number}: is not a row that `penchant sample` wrote; ")


def test_a_folder_in_place_of_the_file_is_refused_in_one_sentence(sample, prompts, tmp_path, no_model):
    result = sample(prompts, tmp_path, "--resume")
    assert (result.code, f"{tmp_path}: cannot be read (" in result.err) == (2, True), result.err


def test_another_prompt_under_an_id_that_is_answered_is_refused(sample, samples, tmp_path, no_model):
    taken = json.loads(samples.splitlines()[1])["id"]
    path, asked = write(tmp_path / "s.jsonl", samples), tmp_path / "p.jsonl"
    asked.write_text(json.dumps({"id": taken, "prompt": "Another story"}) + "\n", encoding="utf-8")
    assert not wrong_in_refusal(sample(asked, path, "--resume"), path, samples, f"{path}:2: ", repr(taken))


def test_line_separators_within_a_response_do_not_part_its_row(sample, samples, prompts, tmp_path):
    row = json.loads(samples.splitlines()[0])
    row["a"]["text"] = "one\u2028two\x85three"
    rest = samples[samples.index(b"\n") + 1 :]
    content = json.dumps(row, ensure_ascii=False).encode() + b"\n" + rest
    path = write(tmp_path / "s.jsonl", content)
    assert sample(prompts, path, "--resume").code == 0
    assert path.read_bytes() == content


@pytest.mark.slow(threads=1)
def test_a_prompt_on_two_lines_is_sampled_once_and_said_to_be_left_out(sample, tmp_path):
    asked, path = ask(tmp_path / "p.txt", ["cat", "dog", "cat", "cat"]), tmp_path / "s.jsonl"
    first = sample(asked, path)
    assert (first.code, "repeat an earlier one: 2, left out" in first.err) == (0, True), first.err
    content = path.read_bytes()
    assert content.count(b"\n") == 2
    assert "0 prompts answered (2 were there)" in sample(asked, path, "--resume").err
    assert path.read_bytes() == content


@pytest.mark.parametrize("command", ["sample", "eval", "round"])
def test_two_prompts_with_one_id_are_refused_with_both_lines_and_the_id(
    penchant, make_run, stories260k, tmp_path, command
):
    path = tmp_path / "p.jsonl"
    rows = [{"id": "q1", "prompt": text} for text in ("Once", "There", "Then")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    model = ["--model", stories260k, "--chat-template", "plain"]
    arguments = {
        "sample": [*model, "--output", tmp_path / "s.jsonl"],
        "eval": [make_run(lora=False)],
        "round": [tmp_path / "wheel", *model, "--judge", "positivity"],
    }
    result = penchant(command, *arguments[command], "--prompts", path)
    assert result.code == 2, result.err
    said = " ".join(result.err.split())
    assert f"{path}:2: its id 'q1' is that of another prompt, {path}:1; give each prompt its own id" in said
    assert not (tmp_path / "s.jsonl").exists()


@pytest.mark.slow(threads=1)
def test_several_models_write_a_file_each_which_pair_reads(penchant, sample, stories260k, tmp_path):
    prompts = ask(tmp_path / "prompts.txt", ANIMALS[:2])
    result = sample(prompts, tmp_path / "both.jsonl", "--model", stories260k, "--num-responses", "1")
    assert result.code == 0, result.err
    files = [tmp_path / "both-1.jsonl", tmp_path / "both-2.jsonl"]
    first, second = (path.read_text(encoding="utf-8").splitlines() for path in files)
    assert len(first) == 2
    assert first == second, "the same model and seed"
    assert not (tmp_path / "both.jsonl").exists()
    again = sample(prompts, tmp_path / "both.jsonl", "--model", stories260k, "--num-responses", "1")
    assert again.code == 2
    assert "both-1.jsonl: exists already" in again.err
    result = penchant("pair", *files, "--rule", "delta", "--output", tmp_path / "pairs.jsonl")
    assert result.code == 2
    assert "no pair is left" in result.err
