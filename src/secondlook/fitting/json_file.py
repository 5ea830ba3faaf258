"""A JSON file of a versioned form: its text, and what it holds, or in one line why it holds none."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

Form = TypeVar("Form")


class JsonFile(Generic[Form]):
    """Files of one form.

    Args:
        form: A dataclass whose ``format`` is the version's name.
        version: Name and version of the form.
        noun: What a file holds.
        made_by: The command that makes one, up to its path.
    """

    def __init__(self, form: type[Form], version: str, noun: str, made_by: str) -> None:
        self._adapter: TypeAdapter[Form] = TypeAdapter(form)
        self._version, self._noun, self._made_by = version, noun, made_by

    def read(self, path: Path) -> Form:
        """Read what a file holds.

        Raises:
            ValueError: It cannot be read, or holds nothing of this form and version; in one line.
        """
        try:
            return self._adapter.validate_json(path.read_bytes())
        except OSError as error:
            raise ValueError(
                f"{self._noun} {str(path)!r} cannot be read ({error.strerror}); make one with: {self._made_by} {path}"
            ) from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            at = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"{str(path)!r} is no {self._noun} of {self._version} ({at}: {first['msg']}); see docs/gates.md"
            ) from None

    def text(self, held: Form) -> str:
        """The text of a file that holds it."""
        return self._adapter.dump_json(held, indent=1).decode() + "\n"
