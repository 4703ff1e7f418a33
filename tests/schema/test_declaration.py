"""What packages of others declare: found by entry points, and told of where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from plugging import write_metadata
from pydantic import field_validator

from edgeopt.schema.base import Noun
from edgeopt.schema.declaration import keys, packages, read, with_own
from edgeopt.schema.errors import UsageError

GROUP = "edgeopt.sample"


class Sample(Noun):
    rank: int
    words: dict[str, str] = {}

    @field_validator("rank")
    @classmethod
    def _positive(cls, rank: int) -> int:
        if rank < 0:
            raise ValueError("it is below 0")
        return rank


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which this process looks for packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(site: Path, name: str, points: Mapping[str, str]) -> None:
    write_metadata(site, name, {GROUP: points})


def test_the_packages_of_a_group_are_found_and_not_imported(site: Path) -> None:
    (site / "noisy").mkdir()
    (site / "noisy" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    install(site, "plug", {"loud": "noisy"})
    found = packages(GROUP)
    assert found["loud"].name == "noisy"
    assert found["loud"].folder == site / "noisy"


def test_a_group_that_nobody_fills_is_empty() -> None:
    assert packages("edgeopt.nothing-of-the-kind") == {}


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ("nowhere_to_be_found", "is not a package with a declaration"),
        ("nowhere.below", "is not found"),
        ("lonely", "is not a package with a declaration"),  # a module without a folder
    ],
)
def test_a_point_that_names_no_package_is_told_with_its_group(
    site: Path, package: str, told: str
) -> None:
    (site / "lonely.py").write_text("")
    install(site, "plug", {"mine": package})
    with pytest.raises(UsageError) as caught:
        packages(GROUP)
    assert told in caught.value.what
    assert f"'{package}', which the entry point 'mine' of {GROUP} names" in caught.value.what


def test_a_name_that_two_distributions_bring_is_refused(site: Path) -> None:
    for package in ("first", "second"):
        (site / package).mkdir()
        install(site, package, {"same": package})
    with pytest.raises(UsageError, match="two distributions provide the entry point 'same'"):
        packages(GROUP)


def test_own_declarations_come_first_and_cannot_be_taken(tmp_path: Path) -> None:
    own = {"onnx": tmp_path / "own.json"}
    both = with_own("format", own, {"mine": tmp_path / "mine.json"})
    assert list(both) == ["onnx", "mine"]
    with pytest.raises(UsageError, match=r"theirs.json: there is already a format 'onnx'"):
        with_own("format", own, {"onnx": tmp_path / "theirs.json"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"rank": -1}', "'rank': it is below 0"),
        ("{}", "'rank': Field required"),
        ('{"rank": 1, "words": {"a": 1}}', "'words.a': Input should be a valid string"),
        ('{"rank": 1, "rnak": 2}', "unknown key 'rnak'"),
        ("{", "is wrong: Invalid JSON"),
    ],
)
def test_a_wrong_declaration_names_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "sample.json"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read(Sample, {"sample": file})
    assert told in caught.value.what and str(file) in caught.value.what


def test_a_declaration_is_read_and_a_missing_one_told(tmp_path: Path) -> None:
    file = tmp_path / "sample.json"
    with pytest.raises(UsageError, match=r"no declaration .*sample\.json: No such file"):
        read(Sample, {"sample": file})
    file.write_text('{"rank": 3}')
    assert read(Sample, {"sample": file}) == {"sample": Sample(rank=3)}


def test_keys_are_parted_by_whether_a_file_may_leave_them_out() -> None:
    assert keys(Sample, required=True) == ["rank"]
    assert keys(Sample, required=False) == ["words"]
