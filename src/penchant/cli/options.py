"""Options that several commands share, said once: those that stand alone, and those that belong together as groups."""

from pathlib import Path

from penchant.cli.declaring import Group, flag, option

MODEL_HELP = "A starter model's name, a Hugging Face folder, a run folder, a .gguf file or a Hub name."
MODEL = option(MODEL_HELP, "--model -m", shown="smollm2-135m")
KINDS = "files, folders, hub:owner/name, votes; may be repeated. NAME::weight=2,max_rows=99 weighs and caps one."
PREFERENCES = option(f"Preferences: {KINDS}", "--data -d")
TEXTS = option(f"Conversations or text: {KINDS}", "--data -d")
PROMPTS = option("Files of prompts, or everyday-train; may be repeated.", "--prompts -p")
MAX_PROMPTS = option("Use only this many prompts, from the start.", shown="all", min=1)
JUDGE_MODEL = option("For an endpoint: the name of its model.")
CHAT_TEMPLATE = option("'plain' for a model of raw text, or the path of a Jinja template.", shown="the tokenizer's own")
SPECIAL_TOKENS = option(
    "A text that spells a special token: refuse its row, read it as plain text, or as the token itself.",
    shown="refuse",
    metavar="refuse|text|control",
)
LABELS = option(
    "What several votes on one pair become: the answer of the majority, or a soft label (how sure they are).",
    shown="majority",
    metavar="majority|soft",
)
BAD_ROWS = "Rows that cannot be used: drop and list them, or error."
COLUMNS = option("Columns to read under other names.", shown="none", metavar="COLUMN=NAME,...")
FORMAT = option("Read rows by this format.", shown="the first that fits")
PAIRING = option("Pairs of a list: all, best_worst, best_random or adjacent.", shown="all")
GAPS = "Smallest gap of scores or ranks for a pair."
SUBSET = option("Which rows a limit takes: head (the first) or random (by the seed).", shown="head")
LENGTH = "Most tokens of prompt and response."
EPOCHS = option("Times through the data.", shown="1")
PAIRS_IN_A_STEP = option("Pairs in one optimiser step.", shown="8")
LORA = flag("--lora", "Train a low-rank adapter instead of all weights.")
CONFIG = option("A YAML file with any of the settings.")
SETTINGS = option("Any setting as section.key=value; may be repeated.", "--set", metavar="KEY=VALUE")
RESUME = flag("--resume", "Continue the interrupted file in --output.")
DEVICE = option("What computes: auto, cpu, cuda or mps.", shown="auto")
DTYPE = option("Precision: auto, float32 or bfloat16.", shown="auto")
JSON = flag("--json", "Print JSON.")


class Loading(Group):
    """How a model is loaded."""

    device: str | None = DEVICE
    dtype: str | None = DTYPE
    chat_template: str | None = CHAT_TEMPLATE


class Sampling(Group):
    """How responses are sampled."""

    temperature: float = option("Randomness; 0 always takes the likeliest token.", "--temperature -t", default=1.0)
    top_p: float = option("Only the likeliest tokens that together have this share; 1: all.", default=1.0)
    top_k: int = option("Only this many of the likeliest tokens; 0: all.", default=0)
    max_new_tokens: int = option("Longest response, in tokens.", default=128)


class Fields(Group):
    """Which fields of a row are read, and as what."""

    columns: str | None = COLUMNS
    format: str | None = FORMAT


class Reading(Fields):
    """The same, of rows that may hold lists."""

    pairing: str | None = PAIRING
    min_gap: float = option(GAPS, default=0.0, shown="any")


class Judging(Group):
    """Of the one judge or the other."""

    judge_model: str | None = JUDGE_MODEL
    instructions: Path | None = option("For an endpoint: a file that says how to judge.", shown="Penchant's own")
    epsilon: float | None = option(
        "Scores that differ by no more are a tie.", shown="0; for run: 0.001 nats; for reward: 0.0001", min=0
    )
    judge_reference: str | None = option("For run: the reference to compare with.", shown="the run's")
    concurrency: int | None = option("For an endpoint: comparisons asked at once.", shown="4", min=1, max=64)
    timeout: float | None = option("For an endpoint: seconds it may stay silent.", shown="120", min=0.1, max=86_400)


class Place(Group):
    """What is trained and where that is written; its fields, as those of the groups below, are settings of a run."""

    output: str | None = option("The run folder to write.", "--output -o")
    model: str | None = MODEL
    config: Path | None = CONFIG


class Pairs(Group):
    """How many pairs, and how long."""

    max_rows: int | None = option("Use only this many pairs.", "--max-pairs", shown="all")
    subset: str | None = SUBSET
    max_length: int | None = option(LENGTH, shown="1024")
    max_prompt_length: int | None = option("Most tokens of a prompt.", shown="--max-length less 1")


class Start(Group):
    """What training starts from."""

    lora: bool = LORA
    seed: int | None = option("Decides the data's order, what is held out, and an adapter's start.", shown="0")
    loading: Loading
    special_tokens: str | None = SPECIAL_TOKENS


class Rows(Group):
    """How rows of training data are read."""

    on_bad_row: str | None = option(BAD_ROWS, shown="drop")
    columns: str | None = COLUMNS
    format: str | None = FORMAT


class PairRows(Rows):
    """The same, of pairs."""

    pairing: str | None = PAIRING
    min_gap: float | None = option(GAPS, shown="any")
    labels: str | None = LABELS


class Run(Group):
    """How a run goes."""

    settings: list[str] | None = SETTINGS
    trackers: list[str] | None = option(
        "Told of every step: tensorboard, wandb, trackio, mlflow, or module:name of your own; may be repeated.",
        "--track --tracker",
        shown="none",
        metavar="NAME",
    )
    resume: bool = flag("--resume", "Continue the run in --output, bit for bit.")


class SharedRun(Run):
    """The same, of several processes."""

    processes: int = option("Processes of this machine that share the work.", default=1, min=1)
    max_restarts: int = option("How often all go on from a checkpoint after one was killed.", default=0, min=0)
