"""Numbers, thresholds and outcomes as people read them."""

from __future__ import annotations

from typing import Any

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | None) -> str:
    """Three decimals; small and large ones as 5.6·10⁻¹⁷; a dash where there is none."""
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3f}".replace("-", "−")
    digits, power = f"{value:.1e}".split("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPTS)}".replace("-", "−")


def threshold(part: dict[str, Any]) -> str:
    """Threshold of a claim as people read it: `< 0.03`."""
    signs = {"above": ">", "below": "<"}
    return " and ".join(f"{sign} {short(part[side])}" for side, sign in signs.items() if part.get(side) is not None)


def short(value: float) -> str:
    """A number that somebody chose, without zeros at its end: 0.05."""
    return number(value) if 0 < abs(value) < 1e-3 else f"{value:.4g}".replace("-", "−")


def estimate(part: dict[str, Any]) -> str:
    """A number with its interval, if it has one."""
    value = number(part["value"])
    return value if part["low"] is None else f"{value} [{number(part['low'])}, {number(part['high'])}]"


def worded(record: dict[str, Any]) -> str:
    """The deciding number of a record, with its interval and where the claim puts it."""
    if record["outcome"] == "not run here":
        return ""
    low, high = record["interval"] or (None, None)
    found, claimed = estimate({"value": record["value"], "low": low, "high": high}), threshold(record["threshold"])
    return f"{found}, claimed {claimed}" if claimed else found


def whose(record: dict[str, Any]) -> str:
    """Whether a claim is the paper's or ours."""
    return "ours" if str(record["source"]).startswith("ours") else "paper"


def otherwise(record: dict[str, Any], earlier: dict[str, Any] | None) -> str:
    """Reason why a claim has another outcome in this run than in the committed one; empty if it has not."""
    if earlier is None or record["evidence"] != "this run" or record["finding"] == earlier["outcome"]:
        return ""
    return (
        f"{earlier['outcome']} at profile {earlier['profile']}, which is committed: this run, profile "
        f"{record['profile']}, has other sizes and fewer runs"
    )


def outcome_of(record: dict[str, Any]) -> str:
    """The outcome; of a planted subject, with what was found on it."""
    return f"planted: {record['finding']}" if record["outcome"] == "planted" else str(record["outcome"])
