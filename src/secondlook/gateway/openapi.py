"""What the server says of itself, as OpenAPI: our own part of the interface; the rest is the upstream's."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from secondlook.gateway.policy import POLICY, ROUNDS, TASK

_STATUS = "passed, corrected, kept, failed, escalated or refused"
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code"],
            "properties": {name: {"type": ["string", "null"]} for name in ("message", "type", "param", "code")},
        }
    },
}
_REFUSALS = {
    "400": "A header asks for what it may not; or the upstream's own error.",
    "401": "The key is missing or unknown.",
    "413": "The body is too large.",
    "429": "Too many requests at once; come back after Retry-After.",
    "502": "The upstream gave no answer.",
    "503": "A second look failed, and settings say to refuse then.",
    "504": "The upstream did not answer in time.",
}


def document(*, keys: bool) -> dict[str, Any]:
    """The document.

    Args:
        keys: Whether clients need a key.
    """
    security: dict[str, Any] = {"security": [{"key": []}]} if keys else {}
    plain = {"content": {"application/json": {"schema": {"type": "object"}}}}
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Second Look gateway",
            "version": version("secondlook"),
            "description": "OpenAI-compatible; lets a model check its answer where that is known to help.",
        },
        "paths": {
            "/v1/chat/completions": {"post": {**_completions(), **security}},
            "/v1/models": {
                "get": {
                    "summary": "The upstream's models.",
                    "responses": {"200": {"description": "As the upstream says.", **plain}, **_refusals()},
                    **security,
                }
            },
            "/healthz": {"get": _probe("Whether the process lives.")},
            "/readyz": {"get": _probe("Whether requests should be sent here.", {"503": "Stopping, or no upstream."})},
            "/metrics": {
                "get": {
                    "summary": "Counters for Prometheus.",
                    "responses": {
                        "200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
                    },
                }
            },
        },
        "components": {"schemas": {"Error": _ERROR}},
    }
    if keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    return made


def _completions() -> dict[str, Any]:
    message = {
        "type": "object",
        "required": ["role"],
        "properties": {"role": {"type": "string"}, "content": {"type": ["string", "array", "null"]}},
    }
    asked = {"type": "object", "properties": {"transcript": {"type": "boolean"}}}
    body = {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {
            "model": {"type": "string"},
            "messages": {"type": "array", "items": message},
            "stream": {"type": "boolean"},
            "secondlook": {**asked, "description": "Asks for the conversation; never passed on."},
        },
    }
    told = {
        "x-secondlook-id": "Of the request, as in the audit log.",
        "x-secondlook-status": f"What was done: {_STATUS}.",
        "x-secondlook-reason": "Why.",
        "x-secondlook-policy": "The policy in force.",
        "x-secondlook-rounds": "Second looks made.",
        "x-secondlook-verdict": "The critic's verdict on the first answer.",
    }
    answer = {
        "description": "The upstream's answer; usage is of all calls.",
        "headers": {name: {"description": says, "schema": {"type": "string"}} for name, says in told.items()},
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    }
    asks = {
        TASK: ("The task tag; a diagnosis decides by group.", {"type": "string"}),
        POLICY: ("always, flagged or never, as far as the server allows.", {"enum": ["always", "flagged", "never"]}),
        ROUNDS: ("Second looks at most, as far as the server allows.", {"type": "string", "pattern": "^[0-9]{1,3}$"}),
    }
    return {
        "summary": "Answer, and look again where that helps.",
        "parameters": [
            {"name": name, "in": "header", "required": False, "description": says, "schema": schema}
            for name, (says, schema) in asks.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": answer, **_refusals()},
    }


def _refusals() -> dict[str, Any]:
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    ours = {
        status: {"description": says, "content": {"application/json": schema}} for status, says in _REFUSALS.items()
    }
    theirs = {"description": "The upstream's own error.", "content": {"*/*": {"schema": {}}}}
    return {**ours, "default": theirs}


def _probe(summary: str, more: dict[str, str] | None = None) -> dict[str, Any]:
    schema = {"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}}
    content = {"content": {"application/json": {"schema": schema}}}
    said = {"200": "Yes.", **(more or {})}
    return {"summary": summary, "responses": {code: {"description": says, **content} for code, says in said.items()}}
