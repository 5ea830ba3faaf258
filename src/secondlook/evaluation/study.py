"""Study: the critic, the variant, the rounds and the prompt of one arm, in one frozen description."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from secondlook.correction.chat import ChatModel, Message
from secondlook.correction.critics import (
    AcceptCritic,
    CommandCritic,
    Critic,
    FittedCritic,
    ModelCritic,
    NoisyCritic,
    OracleCritic,
    RecordedCritic,
    SilentCritic,
    check_program,
)
from secondlook.correction.critics.names import SILENT, check_fit
from secondlook.correction.elicit import ElicitMode
from secondlook.correction.plan import Plan
from secondlook.correction.transcript import StopRule, Variant
from secondlook.diagnosis.examiner import Examiner
from secondlook.evaluation.counting import load_tokenizer
from secondlook.fitting.critic_file import read_critic
from secondlook.fitting.gate_file import Made, read_gate
from secondlook.fitting.gate_made import check_same
from secondlook.gate import ALWAYS, UNSATISFIED, Gate, Keep
from secondlook.prompts.prompt import Prompt, load_prompt

CriticName = Literal[
    "self", "other", "tool", "recorded", "oracle", "fitted", "verify-first", "accept-reject", "none", "vote"
]
VOTE = "vote"
"""The arm without second looks whose answers vote."""
SAMPLED = 0.7
"""Temperature of answers that vote, of a model that decodes greedily."""
UNKNOWN = "always-unknown"
"""The arm that asks nobody and says of every question that it cannot be told."""
OF_CRITIC = {
    "critic_command": "tool",
    "critic_seconds": "tool",
    "critic_file": "recorded",
    "fitted_file": "fitted",
    "votes": VOTE,
    "vote_temperature": VOTE,
}
"""Fields of a study that belong to one critic alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One arm of a study.

    Attributes:
        critic: Who examines the answers: the model itself (``self``), another model (``other``), a command
            (``tool``), a file of verdicts (``recorded``), the truth (``oracle``), what a ``fitted`` critic makes of
            others' verdicts; ``verify-first``: the model itself, in the very turn in which it answers again;
            ``accept-reject``: the model itself, which answers again and then accepts or rejects the new answer; or
            nobody: ``none`` asks again (the content-free control), ``vote`` asks anew and takes the majority of the
            answers.
        noise: Probability with which the critic's verdict is flipped.
        variant: How the question is put again.
        rounds: Number of second looks.
        stop: ``fixed`` number of rounds, or until the critic is ``satisfied``.
        keep: Which answer is kept after a look: always the ``new`` one, one that the critic prefers to the earlier
            one (``preferred``; always so of ``accept-reject``), or one that it calls right (``confirmed``).
        gate: File of a gate, which decides when to look, how often and what to keep, instead of ``stop``, ``rounds``
            and ``keep``.
        prompt: Prompt file, e.g. ``bbq/binary-cot``.
        critic_command: Command line of the ``tool`` critic.
        critic_seconds: Seconds that it may take for one answer; 60 by default.
        critic_file: File of the ``recorded`` critic.
        fitted_file: File of the ``fitted`` critic.
        votes: Answers that vote, where the critic is ``vote``; by default as many as the second looks of another arm
            cost, see :attr:`samples`.
        vote_temperature: At which these answers are sampled; by default the model's own, or 0.7 where that is 0: at 0
            they would be one answer repeated.
        history: How many other questions stand before the question in the ``diverse`` variant.
        budget_tokens: No call is started once a sample has spent this many tokens.
        budget_seconds: Time budget of a sample.
        elicit: Whether the model is asked once more, for the answer or the verdict alone: never (``line``), where none
            can be read (``auto``), or always (``choice``).
        confidence: Whether it is noted how likely answers and verdicts were, where the model tells.
        seed: Seed of the run.
        cache: Whether replies may come from Inspect's cache.
        count_tokens: A ``tokenizer.json`` that counts the tokens of calls whose server does not tell their cost.

    Raises:
        ValueError: For every impossible combination, naming the value and the remedy.
    """

    critic: CriticName = "self"
    noise: float = 0.0
    variant: Variant = "self"
    rounds: int = 1
    stop: StopRule = "fixed"
    keep: Keep = "new"
    gate: str | None = None
    prompt: str = "bbq/binary-cot"
    critic_command: str | None = None
    critic_seconds: float | None = None
    critic_file: str | None = None
    fitted_file: str | None = None
    votes: int | None = None
    vote_temperature: float | None = None
    history: int = 3
    budget_tokens: int | None = None
    budget_seconds: float | None = None
    elicit: ElicitMode = "auto"
    confidence: bool = True
    seed: int = 0
    cache: bool = False
    count_tokens: str | None = None

    def __post_init__(self) -> None:
        if self.critic not in (known := get_args(CriticName)):
            raise ValueError(f"unknown critic {self.critic!r}; choose one of {', '.join(known)}")
        if not 0 <= self.noise <= 1:
            raise ValueError(f"noise is {self.noise}; it is a probability, give 0 to 1")
        if self.noise and self.critic in SILENT:
            raise ValueError(f"noise flips a critic's verdict, and {self.critic!r} has none; choose another critic")
        if self.votes is not None and (self.critic != VOTE or self.votes < 1):
            raise ValueError(f"votes is {self.votes}; only critic 'vote' has votes, 1 or more")
        if self.vote_temperature is not None and (self.critic != VOTE or not self.vote_temperature > 0):
            raise ValueError(
                f"vote temperature is {self.vote_temperature}; only critic 'vote' has one, above 0: at 0 the vote "
                "would be one answer repeated"
            )
        if self.variant == "resample":
            raise ValueError("variant 'resample' is what critic 'vote' does; name it as a critic")
        if (self.critic == "tool") != (self.critic_command is not None):
            raise ValueError("critic 'tool' and a critic command go together; give both or neither")
        if self.critic_seconds is not None and (self.critic != "tool" or not self.critic_seconds > 0):
            raise ValueError(f"critic seconds is {self.critic_seconds}; only critic 'tool' has a time limit, above 0")
        if (self.critic == "recorded") != (self.critic_file is not None):
            raise ValueError("critic 'recorded' and a critic file go together; give both or neither")
        if self.gate is not None and (self.stop, self.keep) != ("fixed", "new"):
            raise ValueError(f"gate {self.gate!r} says when to stop and what to keep; leave out --stop and --keep")
        if self.stop not in (known := ("fixed", "satisfied")):  # a gate's file says the third, ``gate``
            raise ValueError(f"stop is {self.stop!r}: choose one of {', '.join(known)}")
        if self.decides.when in ("p_wrong", "p_answer") and not self.confidence:
            raise ValueError(
                f"gate {self.gate!r} goes by {self.decides.when}, which --no-confidence leaves out; drop that"
            )
        if self.noise and self.keep == "preferred":
            raise ValueError("noise flips a verdict, and a preference is none; leave out --noise, or keep 'new'")
        if self.gate is not None or self.keep != "new":
            check_fit(self.decides, self.critic)
        if (self.critic == "fitted") != (self.fitted_file is not None):
            raise ValueError("critic 'fitted' and its file go together; give --critic fitted:FILE")
        if self.history < 1:
            raise ValueError(f"history is {self.history}; the diverse variant needs at least 1 other question")
        _ = self.file  # reading the prompt file refuses one that is unknown or malformed
        # Any history does for checking the other fields; the real one takes a model to make.
        self.plan((Message("user", ""), Message("assistant", "")) if self.shows_history else ())

    @classmethod
    def of(cls, **values: Any) -> Study:
        """A study from named fields, e.g. Inspect's task arguments.

        Raises:
            ValueError: If a field is unknown; lists the known ones.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise ValueError(f"unknown setting {unknown[0]!r}; known: {', '.join(known)}")
        return cls(**values)

    @property
    def file(self) -> Prompt:
        """The prompt file."""
        return load_prompt(self.prompt)

    def check_critic(self) -> None:
        """See that what the critic needs, and who counts, is there, before a model is loaded or paid for.

        Raises:
            ValueError: If the command or the file is missing or cannot be used.
        """
        if self.count_tokens is not None:
            load_tokenizer(self.count_tokens)
        commands = [self.critic_command] if self.critic == "tool" else []
        if self.critic == "recorded":
            _recorded(self.critic_file)
        if self.fitted_file is not None:
            file = read_critic(Path(self.fitted_file))
            self._check_made(f"critic {self.fitted_file!r}", file.made)
            commands += [examiner.command for examiner in file.critics.values() if examiner.command]
        for command in commands:
            check_program(argv_of(command)[0])
        if self.gate is not None:
            made = read_gate(Path(self.gate)).made
            self._check_made(f"gate {self.gate!r}", made)
            if made.critic != self.critic:
                raise ValueError(
                    f"gate {self.gate!r} is of critic {made.critic!r}, the arm of {self.critic!r}; give the former"
                )

    def _check_made(self, where: str, made: Made) -> None:
        """See that what was fitted was fitted on the words, variant and elicitation of this study."""
        check_same(made, Made(None, made.critic, self.variant, self.file.version, elicit=self.elicit), where)

    @property
    def shows_history(self) -> bool:
        """Whether other questions stand before the question."""
        return self.variant == "diverse" and self.critic != VOTE

    @property
    def samples(self) -> int:
        """Answers that vote: by default (R + 1)(2R + 1) for R second looks.

        A prompt repeats the conversation before it, so where questions and checks are equally long, answers short and
        no prefix is cached, R second looks cost (R + 1)(2R + 1) times the first answer. The comparison itself counts
        tokens, and uses no more answers than they pay for.
        """
        # 1 + 2 + … + (2R + 1): the first call shows one request, and each later one shows one more.
        return self.votes or (self.rounds + 1) * (2 * self.rounds + 1)

    @property
    def looks(self) -> int:
        """Answers after the first, at most: second looks, of which a gate says how many, or votes."""
        if self.critic == VOTE:
            return self.samples - 1
        return self.rounds if self.gate is None else read_gate(Path(self.gate)).rounds

    @property
    def decides(self) -> Gate:
        """When to look again, and which answer to keep."""
        if self.gate is not None:
            return read_gate(Path(self.gate)).gate
        when = UNSATISFIED if self.stop == "satisfied" else ALWAYS
        return replace(when, keep="preferred" if self.critic == "accept-reject" else self.keep)

    def plan(self, history: tuple[Message, ...] = ()) -> Plan:
        """The loop's plan; the ``diverse`` variant needs the messages of its history."""
        if self.critic == VOTE:
            # Without `confidence`: a majority has no probability.
            return Plan(
                variant="resample",
                rounds=self.looks,
                max_tokens=self.budget_tokens,
                max_seconds=self.budget_seconds,
                seed=self.seed,
                elicit=self.elicit,
            )
        # A stop at a satisfied critic is a gate too. Records know it by the name of its stop rule, and Plan takes no
        # gate beside that name.
        gate, named = self.decides, self.stop == "satisfied" and self.keep == "new"
        return Plan(
            history=history,
            variant=self.variant,
            rounds=self.looks,
            stop="satisfied" if named else "fixed" if gate.when == "always" else "gate",
            gate=None if named or gate == ALWAYS else gate,
            verify=self.critic == "verify-first",
            max_tokens=self.budget_tokens,
            max_seconds=self.budget_seconds,
            seed=self.seed,
            elicit=self.elicit,
            confidence=self.confidence,
        )

    def build_critic(self, model: ChatModel, other: ChatModel | None = None) -> Critic:
        """The critic this study asks for.

        Args:
            model: The answering model.
            other: The examining model, for ``other``.
        """
        critic: Critic
        # First, for SILENT holds it too: it examines nothing, but says which answer is better.
        if self.critic == "accept-reject":
            return AcceptCritic(model)
        if self.critic in SILENT:
            return SilentCritic(self.critic)
        if self.critic == "self":
            critic = ModelCritic(model, "self")
        elif self.critic == "other":
            if other is None:
                raise ValueError("critic 'other' needs a second model; name it with --critic-model")
            critic = ModelCritic(other, "other")
        elif self.fitted_file is not None:
            file = read_critic(Path(self.fitted_file))
            critic = FittedCritic(
                file.fitted, {name: _examining(examiner, model, other) for name, examiner in file.critics.items()}
            )
        elif self.critic == "tool":
            critic = _tool(self.critic_command, self.critic_seconds)
        elif self.critic == "recorded":
            critic = _recorded(self.critic_file)
        else:
            critic = OracleCritic()
        return NoisyCritic(self.noise, critic, self.seed) if self.noise else critic


def _examining(examiner: Examiner, model: ChatModel, other: ChatModel | None) -> Critic:
    """A critic that a fitted one asks."""
    if examiner.kind == "tool":
        return _tool(examiner.command, examiner.seconds)
    if examiner.kind == "self":
        return ModelCritic(model, "self")
    if other is None:
        raise ValueError(f"the fitted critic asks model {examiner.model!r}; name it with --critic-model")
    return ModelCritic(other, "other")


def _tool(command: str | None, seconds: float | None) -> CommandCritic:
    return CommandCritic(argv_of(command)) if seconds is None else CommandCritic(argv_of(command), seconds)


def argv_of(command: str | None) -> tuple[str, ...]:
    """The program of a command line, and its arguments.

    Raises:
        ValueError: It cannot be read, or is empty.
    """
    try:
        argv = tuple(shlex.split(command or ""))
    except ValueError as error:
        raise ValueError(f"critic command {command!r} cannot be read ({error}); quote it as for a shell") from None
    if not argv:
        raise ValueError("critic command is empty; give a program and its arguments")
    return argv


def _recorded(file: str | None) -> RecordedCritic:
    try:
        return RecordedCritic.load(Path(file or ""))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"critic file {file!r} cannot be read ({reason}); give a file of one verdict a line") from None
