"""What runtimes declare: those of edgeopt, and others that are plugged in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from plugging import forget, write_metadata
from pydantic import ValidationError

from edgeopt.schema.errors import UsageError
from edgeopt.schema.runtime import GROUP, Runtime, every_runtime, runtime_named, runtimes

FORM: dict[str, Any] = {
    "format": "onnx", "rank": 15, "every": False, "distributions": ["minelib", "minelib-gpu"],
    "modules": ["minelib"], "accelerators": {"cpu": {"nodes": ["Cpu"]}},
}  # fmt: skip


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs a runtime of a name that declares FORM and what else is given."""
    site = tmp_path / "site"
    (site / "mine_runtime").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))

    def install(name: str = "mine", **given: Any) -> None:
        (site / "mine_runtime" / "runtime.json").write_text(json.dumps({**FORM, **given}))
        shutil.rmtree(site / "mine-1.0.dist-info", ignore_errors=True)
        write_metadata(site, "mine", {GROUP: {name: "mine_runtime"}})
        forget()

    yield install
    monkeypatch.undo()
    forget()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"accelerators": {"gpu": {"nodes": ["Gpu"]}}}, "'cpu' is missing"),
        ({"accelerators": {"cpu": {"nodes": ["C"]}, "G P U": {"nodes": ["G"]}}},
         "'G P U' is not a valid name for an accelerator"),
        ({"accelerators": {"cpu": {"nodes": []}}}, "at least 1 item"),
        ({"settings": {"threads": {"values": ["1"]}}}, "'threads' is not a valid name"),
        ({"settings": {"Mode": {"values": ["a"]}}}, "'Mode' is not a valid name"),
        ({"settings": {"mode": {"values": ["a&b"]}}}, "'a&b' is not a value of 'mode'"),
        ({"settings": {"mode": {"values": ["a"], "only_on": {"b": "cpu"}}}},
         "'b' is not a value of 'mode'"),
        ({"settings": {"mode": {"values": ["a"], "worth": [{"value": "b", "arch": ""}]}}},
         "'b' is not a value of 'mode'"),
    ],
)  # fmt: skip
def test_what_no_target_could_be_written_with_is_refused(
    changed: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Runtime.model_validate({**FORM, **changed})


def test_the_line_that_installs_it_names_the_extra_that_has_it() -> None:
    plain = Runtime.model_validate(FORM)
    assert plain.install == "pip install minelib"
    assert plain.library == "minelib"
    assert (
        Runtime.model_validate({**FORM, "extra": "mine"}).install == "pip install 'edgeopt[mine]'"
    )


def test_an_unknown_runtime_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown runtime 'onxruntime'") as caught:
        runtime_named("onxruntime")
    assert caught.value.hint == "Did you mean 'onnxruntime'?"


def test_runtimes_stand_by_their_ranks(plug_in: Callable[..., None]) -> None:
    ranks = [runtime.rank for runtime in runtimes().values()]
    assert ranks == sorted(ranks) and len(ranks) >= 4
    before = list(runtimes())
    plug_in(rank=-1)
    assert list(runtimes()) == ["mine", *before]


def test_every_runtime_is_those_that_say_so(plug_in: Callable[..., None]) -> None:
    before = every_runtime()
    plug_in(rank=-1)
    assert every_runtime() == before
    plug_in(rank=-1, every=True)
    assert every_runtime() == ["mine", *before]


def test_a_name_that_no_target_can_hold_is_refused(plug_in: Callable[..., None]) -> None:
    plug_in(name="My.Runtime")
    with pytest.raises(UsageError, match=r"cannot name a runtime 'My\.Runtime'") as caught:
        runtimes()
    assert caught.value.hint == "its name must be of a-z, 0-9, _ and -"


def test_a_runtime_of_edgeopt_cannot_be_taken(plug_in: Callable[..., None]) -> None:
    plug_in(name="onnxruntime")
    with pytest.raises(UsageError, match="there is already a runtime 'onnxruntime'"):
        runtimes()


def test_every_setting_is_told_in_the_docs_as_it_is_declared() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recipe.md").read_text(encoding="utf-8")
    for runtime, declared in runtimes().items():
        for name, setting in declared.settings.items():
            values = ", ".join(f"`{value}`" for value in setting.values)
            assert setting.does
            assert f"| `{runtime}` | `{name}` | {values} | {setting.does} |" in page


def test_where_a_value_is_worth_a_race_depends_on_the_machine_and_the_file() -> None:
    (worth,) = runtime_named("openvino").settings["dynamic_quant"].worth
    vnni, int8 = "x86_64-avx512_vnni", {"int8", "qdq"}
    assert worth.fits(vnni, (), int8) and worth.fits("x86_64-avx2", ["avx_vnni"], int8)
    assert not worth.fits("x86_64-avx2", (), int8)
    assert not worth.fits("aarch64-asimd", ["amx_int8"], int8)
    assert not worth.fits(vnni, (), {"float32"})
