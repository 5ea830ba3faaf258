"""Everything that decides what the gateway does: one frozen form, from a TOML file, options, or both."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from secondlook.correction.elicit import ElicitMode
from secondlook.correction.transcript import Variant

PolicyName = Literal["always", "flagged", "never", "diagnosis"]
OnFailure = Literal["open", "closed", "escalate"]

PROMPT = "own/binary-cot"
"""The words where neither settings nor a diagnosis name any."""
ELICIT: ElicitMode = "auto"
"""Whether a critic is asked once more where neither settings nor a diagnosed run say."""
CRITIC_TOKENS = 512
"""Tokens that a critique may have where neither settings nor a diagnosed run say."""

_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(gt=0)]


class GatewaySettings(BaseModel):
    """Settings of one gateway.

    Attributes:
        upstream: Address of the model's server, with its ``/v1``; added where there is no path at all.
        policy: When to look again: ``always``; ``flagged`` (always ask the critic, answer again unless it is
            satisfied); ``never``; or as a ``diagnosis`` says.
        diagnoses: Files that ``secondlook diagnose --out`` or ``secondlook gate fit --out`` wrote, one a model.
        rounds: Second looks of ``always`` and ``flagged``, and the most that a diagnosis may ask for.
        variant: How the question is put again: ``self`` or ``self-instruct``. Of a diagnosis, by default its own.
        prompt: Prompt file whose check and requests are used. Of a diagnosis, by default its own.
        critic: Who examines: the model itself (``self``), another model of the upstream (``other``), a command
            (``tool``), what a ``fitted`` critic makes of others, the model itself in the turn that answers again
            (``verify-first``), or the model itself once it has answered again, which then accepts or rejects that
            (``accept-reject``). Of a diagnosis, its own, and no other; else ``self``.
        critic_model: Name of that other model.
        critic_command: That command and its arguments.
        critic_file: File of a ``fitted`` critic, which asks others and makes one verdict of what they say.
        critic_seconds: Seconds it may take for one answer. Of a diagnosis, by default those of its run; else 60.
        critic_tokens: Tokens a critique may have. Of a diagnosis, by default those of its run; else 512.
        elicit: Whether a critic is asked once more, for its verdict alone: where none can be read (``auto``), never
            (``line``), or always (``choice``). Of a diagnosis, by default as its run; else ``auto``.
        chat_template: Hash of the chat template that the upstream uses, where that is known: what was diagnosed with
            another is not served.
        override: What a request's headers may ask for: ``less`` than the policy says, ``any`` up to ``rounds``, or
            ``none`` at all.
        images: Whether requests with images are looked at twice; the check question then follows the image.
        on_failure: Answer when a second look fails or a critic is unclear: the answer there is (``open``), 503
            (``closed``), or the answer there is, with the conversation handed to a person (``escalate``).
        escalate_to: A file that conversations are appended to as JSON Lines, or the address of a webhook.
        budget_tokens: No call of a second look is started once a request has spent this many tokens.
        budget_seconds: A second look is cut off this long after the request's first call began.
        timeout: Seconds until an upstream answer must have begun, and between two pieces of it.
        connect_timeout: Seconds until a connection must stand.
        retries: Repeats of a call that surely was not answered: refused connections, 429, 503.
        retry_uncertain: Whether calls are repeated that may have been answered and billed: 500, 502, 504, lines cut and
            time-outs. Each is counted.
        proxies: Whether the environment's proxies (``HTTPS_PROXY``, ``NO_PROXY``, …) stand between us and the upstream.
        ready: Proof of ``/readyz``: a ``model`` answers with one word, or the ``server`` is there.
        ready_model: The model it asks; by default one that the upstream lists, and that was diagnosed if there is one.
        upstream_key_file: File that holds the key for the upstream; without it the client's own is passed on.
        keys_file: File of the keys that clients need (``secondlook keys``); without it nobody needs one.
        audit_file: SQLite file that gets a row for each request.
        audit_text: Whether transcripts are kept in it.
        log_text: Whether requests and answers are logged.
        max_body: Bytes a request may have.
        max_in_flight: Requests worked on at once; one more gets 429.
        keep_alive: Seconds between two comments while a streamed answer is being looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream: str
    policy: PolicyName = "never"
    diagnoses: tuple[Path, ...] = ()
    rounds: _Count = 1
    variant: Variant | None = None
    prompt: str | None = None
    critic: Literal["self", "other", "tool", "verify-first", "accept-reject", "fitted"] | None = None
    critic_model: str | None = None
    critic_command: tuple[str, ...] | None = None
    critic_file: Path | None = None
    critic_seconds: _Seconds | None = None
    critic_tokens: _Count | None = None
    elicit: ElicitMode | None = None
    chat_template: str | None = None
    override: Literal["none", "less", "any"] = "less"
    images: bool = False
    on_failure: OnFailure = "open"
    escalate_to: str | None = None
    budget_tokens: _Count | None = None
    budget_seconds: _Seconds | None = None
    timeout: _Seconds = 300.0
    connect_timeout: _Seconds = 5.0
    retries: Annotated[int, Field(ge=0)] = 2
    retry_uncertain: bool = False
    proxies: bool = True
    ready: Literal["model", "server"] = "model"
    ready_model: str | None = None
    upstream_key_file: Path | None = None
    keys_file: Path | None = None
    audit_file: Path | None = None
    audit_text: bool = False
    log_text: bool = False
    max_body: _Count = 16 * 2**20
    max_in_flight: _Count = 1000
    keep_alive: _Seconds = 5.0

    @field_validator("upstream")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        path = re.sub("/+", "/", parts.path).rstrip("/")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{value!r} is no address; give one such as http://127.0.0.1:8000/v1")
        root = re.sub(r"(/chat)?/(completions|responses|messages|models)$", "", path)
        root = re.sub(r"(/v1)+$", "/v1", root) or "/v1"
        if path not in ("", root):
            raise ValueError(f"{value!r} goes too far; give {parts.scheme}://{parts.netloc}{root}")
        return f"{parts.scheme}://{parts.netloc}{root}"

    @model_validator(mode="after")
    def _fitting(self) -> GatewaySettings:
        for what, chosen, other, given in (
            ("policy 'diagnosis'", self.policy == "diagnosis", "the diagnosis files", bool(self.diagnoses)),
            ("critic 'other'", self.critic == "other", "critic_model", self.critic_model is not None),
            ("critic 'fitted'", self.critic == "fitted", "critic_file", self.critic_file is not None),
            ("critic 'tool'", self.critic == "tool", "critic_command", bool(self.critic_command)),
            ("on_failure 'escalate'", self.on_failure == "escalate", "escalate_to", self.escalate_to is not None),
        ):
            if chosen != given:
                raise ValueError(f"{what} and {other} go together; give both or neither")
        if self.variant not in (None, "self", "self-instruct"):
            raise ValueError(f"variant {self.variant!r} belongs to studies; here give 'self' or 'self-instruct'")
        if self.audit_text and self.audit_file is None:
            raise ValueError("audit_text needs audit_file")
        return self

    def upstream_key(self) -> str | None:
        """The key for the upstream, if it has a file.

        Raises:
            ValueError: The file cannot be read.
        """
        if self.upstream_key_file is None:
            return None
        try:
            return self.upstream_key_file.read_text("utf-8").strip()
        except OSError as error:
            name = str(self.upstream_key_file)
            raise ValueError(
                f"upstream key {name!r} cannot be read ({error.strerror}); give a file that holds it"
            ) from None


def load_settings(file: Path | None, options: Mapping[str, Any]) -> GatewaySettings:
    """Settings from a file and from options, which go before it; an option of ``None`` is not given.

    Raises:
        ValueError: The file cannot be read, or a setting is unknown, missing or cannot be; in one line.
    """
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise ValueError(f"settings {str(file)!r} cannot be read ({error.strerror}); give a TOML file") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"settings {str(file)!r} are not TOML ({error})") from None
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return GatewaySettings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if name == "upstream" and first["type"] == "missing":
            raise ValueError(
                "there is no upstream; give the address of the model's server, --upstream http://127.0.0.1:8000/v1, or "
                'upstream = "…" in the file of --config'
            ) from None
        said = first["msg"].removeprefix("Value error, ")
        known = f"; known: {', '.join(GatewaySettings.model_fields)}" if first["type"] == "extra_forbidden" else ""
        raise ValueError(f"{f'setting {name!r}: ' if name else ''}{said}{known}") from None
