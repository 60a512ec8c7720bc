"""Options that several commands share, said once: those that stand alone, and those that belong together as groups."""

from pathlib import Path

from penchant.cli.declaring import Group, flag, option

MODEL_HELP = "A starter model's name, a Hugging Face folder, a run folder, a .gguf file or a Hub name."
MODEL = option(MODEL_HELP, "--model -m", shown="smollm2-135m")
KINDS = "files, folders, hub:owner/name, vote projects; repeatable. NAME::weight=2,max_rows=99 sets weight and limit."
PREFERENCES = option(f"Preferences: {KINDS}", "--data -d")
TEXTS = option(f"Conversations or text: {KINDS}", "--data -d")
PROMPTS = option("Files of prompts, or everyday-train; may be repeated.", "--prompts -p")
MAX_PROMPTS = option("Use only this many prompts, the first ones.", shown="all", min=1)
JUDGE_MODEL = option("For an endpoint judge: the name of its model.")
CHAT_TEMPLATE = option("'plain' for a model trained on raw text, or a Jinja file.", shown="the tokenizer's own")
SPECIAL_TOKENS = option(
    "Text that spells a special token: refuse the row, read it as plain text, or as the token (control).",
    shown="refuse",
    metavar="refuse|text|control",
)
LABELS = option(
    "How several votes on a pair are combined: the majority's answer, or a soft label (a probability).",
    shown="majority",
    metavar="majority|soft",
)
BAD_ROWS = "Unusable rows: drop (and list) them, or error."
COLUMNS = option("Columns to rename when reading.", shown="none", metavar="COLUMN=NAME,...")
FORMAT = option("Data format of the rows.", shown="detected")
PAIRING = option("Pairs to form from a list: all, best_worst, best_random or adjacent.", shown="all")
GAPS = "Minimum difference in score or rank for a pair."
SUBSET = option("Rows kept by a row limit: head (the first) or random (by the seed).", shown="head")
LENGTH = "Maximum tokens of prompt plus response."
EPOCHS = option("Passes over the data.", shown="1")
PAIRS_IN_A_STEP = option("Pairs per optimiser step.", shown="8")
LORA = flag("--lora", "Train a low-rank adapter instead of all weights.")
CONFIG = option("A YAML file with any of the settings.")
SETTINGS = option("Any setting as section.key=value; may be repeated.", "--set", metavar="KEY=VALUE")
PROCESSES: int = option("Number of processes on this machine that share the work.", default=1, min=1)
RESUME = flag("--resume", "Continue the interrupted file in --output.")
DEVICE = option("Device: auto, cpu, cuda or mps.", shown="auto")
DTYPE = option("Precision: auto, float32 or bfloat16.", shown="auto")
JSON = flag("--json", "Print JSON.")


class Loading(Group):
    """How a model is loaded."""

    device: str | None = DEVICE
    dtype: str | None = DTYPE
    chat_template: str | None = CHAT_TEMPLATE


class Sampling(Group):
    """How responses are sampled."""

    temperature: float = option("Sampling temperature; 0 is greedy decoding.", "--temperature -t", default=1.0)
    top_p: float = option("Nucleus sampling: total probability of the tokens kept; 1: all.", default=1.0)
    top_k: int = option("Keep only this many of the most likely tokens; 0: all.", default=0)
    max_new_tokens: int = option("Maximum tokens per response.", default=128)


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
    instructions: Path | None = option("For an endpoint judge: a file with its instructions.", shown="Penchant's own")
    epsilon: float | None = option(
        "Scores that differ by at most this are a tie.", shown="0; for run: 0.001 nats; for reward: 0.0001", min=0
    )
    judge_reference: str | None = option("For a run:FOLDER judge: the reference model.", shown="the run's")
    concurrency: int | None = option("For an endpoint judge: concurrent requests.", shown="4", min=1, max=64)
    timeout: float | None = option("For an endpoint judge: timeout in seconds.", shown="120", min=0.1, max=86_400)


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
    max_prompt_length: int | None = option("Maximum tokens of the prompt.", shown="--max-length less 1")


class Start(Group):
    """What training starts from."""

    lora: bool = LORA
    seed: int | None = option("Seed of the data order, the held-out split and an adapter's first weights.", shown="0")
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
        "Log metrics to tensorboard, wandb, trackio, mlflow, or module:name of your own; may be repeated.",
        "--track --tracker",
        shown="none",
        metavar="NAME",
    )
    resume: bool = flag("--resume", "Continue the interrupted run in --output; the result is bit-identical.")


class SharedRun(Run):
    """The same, of several processes."""

    processes: int = PROCESSES
    max_restarts: int = option("Times to restart all processes from a checkpoint if one is killed.", default=0, min=0)
