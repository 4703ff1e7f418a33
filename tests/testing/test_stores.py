"""The kit of stores finds a store that forgets, lets itself be written to, or sees no damage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeopt.testing import stores
from edgeopt.testing.stores import Place

FAULTY = """\
from edgeopt.store import Store

class Forgets(Store):
    def keep(self, outcome): pass

class Writable(Store):
    def put_bytes(self, data):
        digest = super().put_bytes(data)
        self.path(digest).chmod(0o644)
        return digest

class Blind(Store):
    def verify(self):
        found = super().verify()
        return type(found)(**{**found.__dict__, "corrupt": (), "broken": ()})

class Hoards(Store):
    def gc(self, *given, **more):
        return Collected()

class Collected:
    outcomes = blobs = freed_bytes = kept_bytes = 0
"""


@pytest.mark.parametrize(
    ("name", "check", "said"),
    [
        ("Forgets", stores.keeps_what_went_well, ""),
        ("Writable", stores.names_content_by_its_digest, "the content can be written to: 644"),
        ("Blind", stores.finds_a_flipped_bit, "damaged"),
        ("Hoards", stores.collects_what_nobody_names, "was no StoreError"),
    ],
)
def test_a_faulty_store_is_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    check: Callable[[Place], str],
    said: str,
) -> None:
    (tmp_path / "faulty_stores.py").write_text(FAULTY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(AssertionError, match=said):
        check(Place(f"faulty_stores:{name}", tmp_path))
