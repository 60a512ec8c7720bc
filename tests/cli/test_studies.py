"""`penchant frontier` and `penchant sweep` as they are typed: what is wrong is one sentence and exit 2."""

import pytest

STUDY = "model: m\nprompts: p.txt\n"


@pytest.mark.parametrize(
    ("command", "text", "sentence"),
    [
        ("frontier", STUDY + "methds: {}\n", "study.yaml:3: there is no setting 'methds'; did you mean 'methods'?"),
        (
            "frontier",
            STUDY + "methods: {dpo: {strengths: [1]}}\n",
            "the setting 'judge', which gives the true reward, is missing",
        ),
        ("frontier", STUDY + "judge: a:b\nmethods: {dpo: {strengths: [1]}}\n", "name it yourself with `--judge a:b`"),
        ("sweep", STUDY + "kl_budget: 5\n", "the setting 'grid' is missing"),
        (
            "sweep",
            STUDY + "judge: positivity\nkl_budget: 5\ngrid: {dpo.bta: [1]}\n",
            "there is no setting 'dpo.bta'; did you mean 'dpo.beta'?",
        ),
    ],
)
def test_a_study_that_cannot_be_made_is_refused_in_a_sentence(penchant, tmp_path, command, text, sentence):
    file = tmp_path / "study.yaml"
    file.write_text(text)
    result = penchant(command, file, "--output", tmp_path / "out")
    assert (result.code, result.out) == (2, "")
    assert sentence in result.err
    assert not (tmp_path / "out").exists()


def test_a_study_that_is_stopped_is_gone_on_with_by_the_same_command(penchant, tmp_path, monkeypatch):
    def stopped(*asked, **how):
        raise KeyboardInterrupt

    monkeypatch.setattr("penchant.frontier", stopped)
    result = penchant("frontier", tmp_path / "study.yaml", "--output", tmp_path / "out")
    assert result.code == 130
    assert "run the same command again to continue" in result.err
    assert "--resume" not in result.err
