from __future__ import annotations

import errno
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeopt.schema import errors
from edgeopt.schema.errors import (
    EdgeoptError,
    ModelError,
    UsageError,
    did_you_mean,
    from_record,
    is_out_of_memory,
    of_file,
)

KINDS = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)
]


@given(st.sampled_from(KINDS), st.text(), st.text(), st.text())
def test_an_error_crosses_a_process_unchanged(
    kind: type[EdgeoptError], what: str, where: str, hint: str
) -> None:
    error = kind(what, where=where, hint=hint)
    by_json = from_record(json.loads(json.dumps(error.record())))
    by_pickle = pickle.loads(pickle.dumps(error))
    for copy in (by_json, by_pickle):
        assert type(copy) is kind
        assert (copy.what, copy.where, copy.hint) == (what, where, hint)
        assert str(copy) == str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_usage_exits_2_and_all_else_1(kind: type[EdgeoptError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, UsageError) else 1)


def test_every_class_stands_in_the_tree_of_the_docstring() -> None:
    assert all(kind.__name__ in str(errors.__doc__) for kind in KINDS)


def test_an_unknown_record_becomes_the_base_class() -> None:
    error = from_record({"type": "KeyboardInterrupt", "what": "stop"})
    assert type(error) is EdgeoptError and error.what == "stop"
    assert from_record({}).what == "unknown error"


def test_the_text_tells_where_what_and_what_to_do() -> None:
    error = errors.DataError("it is empty", where="a.npz", hint="fill it")
    assert str(error) == "a.npz: it is empty\n  fill it"
    assert str(errors.DataError("it is empty")) == "it is empty"


def test_the_nearest_word_or_all_of_them() -> None:
    assert did_you_mean("imags", ["images", "label"]) == "Did you mean 'images'?"
    assert did_you_mean("zzz", ["images", "label"]) == "Known: images, label."
    assert did_you_mean("zzz", []) == ""


def test_a_message_of_megabytes_is_cut_in_the_middle() -> None:
    text = "first " + "x" * 5_000_000 + " last"
    error = ModelError(text, where=text, hint=text)
    raw = from_record({"type": "ModelError", "what": text})
    assert from_record(error.record()).record() == error.record(), "it is cut once"
    for kept in (error, raw):
        assert len(str(kept)) < 8000
        assert kept.what.startswith("first x") and kept.what.endswith("x last")
        assert "characters ...]" in kept.what
    assert ModelError("short").what == "short"


def test_what_the_system_says_of_a_name_that_cannot_be_one_is_a_wrong_call() -> None:
    long = OSError(errno.ENAMETOOLONG, "File name too long", "n" * 300)
    assert isinstance(of_file(long), UsageError) and of_file(long).where == "n" * 300
    moved = OSError(errno.EXDEV, "Invalid cross-device link", b"a", None, b"b")
    assert str(of_file(moved)) == "a and b: Invalid cross-device link"
    assert of_file(moved).exit_code == 1 and str(of_file(OSError())) == "OSError"


def test_a_lack_of_memory_is_found_whoever_says_it() -> None:
    said = ImportError("/lib/x.so: failed to map segment from shared object")
    wrapped = EdgeoptError("the format onnx failed")
    wrapped.__cause__ = said
    lacks = [
        MemoryError(),
        OSError(errno.ENOMEM, "x"),
        RuntimeError("std::bad_alloc"),
        said,
        wrapped,
    ]
    assert all(map(is_out_of_memory, lacks))
    assert not any(map(is_out_of_memory, [None, ValueError("no"), OSError(errno.ENOENT, "x")]))
