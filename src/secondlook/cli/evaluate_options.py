"""Options of the commands that evaluate a language model, in groups; each field is an option with its help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from secondlook.benchmarks.benchmark import option


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Options of the model, and of how it is asked."""

    model: str = option(..., "Inspect's spelling, e.g. secondlook/planted or openai/gpt-4o-mini.")
    base_url: tuple[str, ...] | None = option(
        None,
        "Address of the model's server, e.g. http://127.0.0.1:8000/v1; repeatable with --shards.",
    )
    model_arg: tuple[str, ...] | None = option(None, "Provider argument, name=value.", "-M", "--model-arg")
    temperature: float = option(0.0, "Temperature of decoding; 0 is greedy.")
    reply_tokens: int = option(512, "Tokens a reply may have.")
    max_connections: int | None = option(None, "Requests in flight; by default as many as the server bears.")
    max_retries: int = option(3, "Repeats of a request after 429, 5xx or a lost line.")
    timeout: int | None = option(None, "Seconds a request may take once it is sent; by default as long as it likes.")
    stall: int = option(600, "Seconds of silence after which a request is given up.")
    cache: bool = option(False, "Take replies from Inspect's cache.")
    count_tokens: Path | None = option(None, "A tokenizer.json that counts where the server tells no usage.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticOptions:
    """Options of the critic, of how the question is put again, and of how often."""

    critic: tuple[str, ...] = option(
        ("self",),
        "self, other, tool, recorded, oracle or fitted:FILE (secondlook critic); verify-first (in the turn that "
        "answers again), accept-reject (answers again, then chooses); or a control: none (asks again without a "
        "critique), vote (majority of answers at equal cost), always-unknown; repeat for several arms.",
    )
    noise: float = option(0.0, "Probability of flipping the critic's verdict.")
    variant: str = option("self", "self, diverse or self-instruct.")
    rounds: int = option(1, "Second looks; 0 only answers.")
    stop: str = option("fixed", "fixed, or satisfied: end when the critic is.")
    keep: str = option(
        "new", "After a look keep: new, always the new answer; preferred by the critic; confirmed by it."
    )
    gate: str | None = option(None, "File of a gate (secondlook gate fit) that says when to look and what to keep.")
    prompt: str | None = option(None, "Prompt file, e.g. bbq/binary-cot, or PATH.toml.")
    critic_model: str | None = option(None, "Examining model of critic other.")
    critic_base_url: str | None = option(None, "Address of the critic model's server.")
    critic_command: str | None = option(None, "Command line of critic tool.")
    critic_seconds: float | None = option(None, "Seconds of critic tool for one answer; 60 by default.")
    critic_file: str | None = option(None, "JSON Lines file of critic recorded.")
    votes: int | None = option(None, "Answers of control vote; as many as the looks cost.")
    vote_temperature: float | None = option(
        None, "Temperature of the answers that vote; the model's own, or 0.7 where that is 0."
    )
    history: int = option(3, "Other questions shown first (variant diverse).")
    elicit: str = option(
        "auto",
        "Ask once more, for the answer or verdict alone: auto, where none can be read; choice, always; line, never.",
    )
    confidence: bool = option(
        True,
        "Note how likely answers and verdicts were, where the model tells.",
        "--confidence/--no-confidence",
    )
    budget_tokens: int | None = option(None, "Token budget of a sample.")
    budget_seconds: float | None = option(None, "Time budget of a sample.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmOptions:
    """The arms of a benchmark that has its own."""

    arms: tuple[str, ...] | None = option(None, "Spelt as the benchmark calls its arms.")
    critic: tuple[str, ...] = option(("self",), "Who checks: self, other, tool, recorded or oracle.")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeOptions:
    """Options of a model that judges replies, and of people's labels that correct it."""

    judge_model: str | None = option(None, "A model that judges replies; it grades them with --grader model.")
    judge_base_url: str | None = option(None, "Address of the judge's server.")
    judge_labels: Path | None = option(
        None, "People's labels of some replies, in any table format: they correct the judges' rates; kept with the run."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of the run: where and how it goes."""

    out: Path | None = option(None, "Folder of the run; by default named by its settings.")
    seed: int = option(0, "Seed of the sample and the run.")
    dry_run: bool = option(False, "Count calls and tokens; contact no model.")
    fast: bool = option(
        False, "All samples in lock-step, for secondlook/… models; keeps transcripts, not Inspect's logs."
    )
    shards: int | None = option(None, "Parts of each arm, with a log each, merged at the end.")
    cluster: str | None = option(
        None, "Ray cluster: local (of this machine), auto, HOST:PORT of its head, or ray://HOST:PORT."
    )
    cpus: float = option(1.0, "Processors of a unit of work on the cluster.")
    gpus: float | None = option(None, "Accelerators of a unit of work, e.g. 0.25.")
    logs: str | None = option(None, "Place of the logs of shards, e.g. s3://…; by default --out.")
    log_buffer: int = option(10, "Finished samples kept back before the log is written, at most.")
    preflight: bool = option(
        True,
        "First try grader and critic, and ask three questions, of a task of your own; stop where something is wrong.",
        "--preflight/--no-preflight",
    )
    diagnose: bool = option(True, "Say whether looking again helps; write diagnosis.json.", "--diagnose/--no-diagnose")
