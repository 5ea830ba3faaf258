"""Keys of clients: only hashes are kept, and every comparison takes the same time."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from secondlook.machine import whole

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key: its name, a salt, and the hash of both.

    A key is 256 random bits, so there is nothing to guess and a fast hash is enough; a slow one, made for passwords,
    would let anybody slow the server down with wrong keys.
    """

    name: str
    salt: str
    hash: str


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a file."""

    entries: tuple[KeyEntry, ...] = ()

    @classmethod
    def load(cls, path: Path) -> Keys:
        """The keys of a file.

        Raises:
            ValueError: It cannot be read or is not one of ours.
        """
        try:
            return cls(tuple(KeyEntry(**row) for row in json.loads(path.read_text("utf-8"))))
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
        except (ValueError, TypeError):
            why = "is not a file of keys"
        raise ValueError(f"keys {str(path)!r} {why}; make one with: secondlook keys add")

    def save(self, path: Path) -> None:
        """Write the file whole, readable by its owner alone.

        Raises:
            OSError: It cannot be written; what was there is kept.
        """
        with whole(path, private=True) as stream:
            stream.write(json.dumps([asdict(entry) for entry in self.entries], indent=1).encode() + b"\n")

    def add(self, name: str) -> tuple[Keys, str]:
        """These keys with one more, and the key itself, which is not kept.

        Raises:
            ValueError: The name is taken, or is none.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"name {name!r} is none; give 1 to 64 letters, digits, dots, dashes or underscores")
        if name in {entry.name for entry in self.entries}:
            raise ValueError(f"there is a key {name!r} already; remove it first, or choose another name")
        key, salt = f"sl-{secrets.token_urlsafe(32)}", secrets.token_hex(16)
        return Keys((*self.entries, KeyEntry(name, salt, _hash(salt, key)))), key

    def remove(self, name: str) -> Keys:
        """These keys without one.

        Raises:
            ValueError: There is no such key.
        """
        names = [entry.name for entry in self.entries]
        if name not in names:
            raise ValueError(f"there is no key {name!r}; there are {', '.join(names) or 'none'}")
        return Keys(tuple(entry for entry in self.entries if entry.name != name))

    def check(self, authorization: str | None, api_key: str | None = None) -> str | None:
        """Name of a client's key; ``None`` if it is none of these.

        All entries are compared, whichever fits, so the time taken tells nothing.

        Args:
            authorization: Header ``Authorization``, as OpenAI's clients send it.
            api_key: Header ``x-api-key``, as Anthropic's clients do; it counts where there is no other.
        """
        kind, _, key = (f"bearer {api_key or ''}" if authorization is None else authorization).partition(" ")
        found = [e.name for e in self.entries if hmac.compare_digest(_hash(e.salt, key.strip()), e.hash)]
        return found[0] if found and kind.lower() == "bearer" else None


def _hash(salt: str, key: str) -> str:
    return hashlib.sha256(f"{salt}{key}".encode("utf-8", "surrogateescape")).hexdigest()
