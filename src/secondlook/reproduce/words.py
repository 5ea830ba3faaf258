"""Numbers, thresholds and outcomes as people read them."""

from __future__ import annotations

from typing import Any

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def number(value: float | None, digits: int = 2) -> str:
    """Three decimals; small and large ones as 5.6·10⁻¹⁷, with so many digits; a dash where there is none."""
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.{max(3, digits)}f}".replace("-", "−")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}·10{str(int(power)).translate(_SUPERSCRIPTS)}".replace("-", "−")


def threshold(part: dict[str, Any]) -> str:
    """Threshold of a claim as people read it: `< 0.03`."""
    signs = {"above": ">", "below": "<"}
    digits = _apart(part)
    sides = [f"{sign} {short(part[side], digits)}" for side, sign in signs.items() if part.get(side) is not None]
    return " and ".join(sides)


def called(model: str) -> str:
    """Names of the models that were asked, without their quantisations."""
    return " and ".join(one.partition(",")[0] for one in model.split(" and "))


def short(value: float, digits: int = 2) -> str:
    """A number that somebody chose, without zeros at its end: 0.05."""
    return number(value, digits) if 0 < abs(value) < 1e-3 else f"{value:.{max(4, digits)}g}".replace("-", "−")


def estimate(part: dict[str, Any]) -> str:
    """A number with its interval, if it has one; with as many digits as tell it from its threshold."""
    value = number(part["value"], _apart(part))
    return value if part["low"] is None else f"{value} [{number(part['low'])}, {number(part['high'])}]"


def _apart(part: dict[str, Any]) -> int:
    value, sides = part.get("value"), [part.get("above"), part.get("below")]
    bounds = [bound for bound in sides if bound is not None and bound != value]
    each = (digits for digits in range(2, 17) if number(value, digits) not in [number(x, digits) for x in bounds])
    return next(each, 17)  # which tell any two floats apart


def decided(record: dict[str, Any]) -> dict[str, Any]:
    """The deciding number of a record as a part: value, interval and threshold."""
    low, high = record["interval"] or (None, None)
    return {**(record["threshold"] or {}), "value": record["value"], "low": low, "high": high}


def worded(record: dict[str, Any]) -> str:
    """The deciding number of a record, with its interval and where the claim puts it."""
    if record["outcome"] == "not run here":
        return ""
    found, claimed = estimate(decided(record)), threshold(decided(record))
    return f"{found}, claimed {claimed}" if claimed else found


def whose(record: dict[str, Any]) -> str:
    """Whether a claim is the paper's or ours."""
    return "ours" if str(record["source"]).startswith("ours") else "paper"


def code(old: dict[str, Any]) -> str:
    """The commit of a committed result; a plus means that the code had changes beside it."""
    return str(old["commit"] or "no commit").replace("+", " with changes")


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
