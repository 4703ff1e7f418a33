"""What all nouns share: frozen, closed, with one canonical JSON form and a digest of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Noun(BaseModel):
    """Frozen data with a JSON form; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types only."""
        return self.model_dump(mode="json")


def canonical(value: Any) -> bytes:
    """Sorted, compact UTF-8 JSON: equal values give equal bytes. NaN is refused."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest_of(value: Any) -> str:
    """SHA-256 (64 hex digits) of the canonical JSON form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def counted(n: int, noun: str) -> str:
    """``1 candidate``, ``3 candidates``."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def printable(text: str) -> str:
    """Text from outside (names of models, tensors, files), safe to show on a terminal or page.

    Control characters, direction marks and lone surrogates become their escapes; new lines
    and tabs stay.
    """
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )
