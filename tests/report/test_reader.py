"""What a reader of a result must not have to ask: what a figure is of, and what to do with it."""

from __future__ import annotations

import importlib.util
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgeopt.bench import peak
from edgeopt.report import draw

spec = importlib.util.spec_from_file_location(
    "result_sample", Path(__file__).with_name("result_sample.py")
)
assert spec and spec.loader
sample: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sample)


class Text(HTMLParser):
    """The text of a page, without its style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self._style = "", False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._style else f"{data} "


def told(result: Any, view: str) -> str:
    """What a view says, on one line."""
    drawn = draw(result, view)
    return " ".join((Text(drawn).text if view == "html" else drawn).split())


VIEWS = pytest.mark.parametrize("view", ["terminal", "html"])


# -- peak memory


def weighed(protocol: str) -> Any:
    """The sample, its peak memory taken by a protocol."""
    target, found = sample.sample_target(), []
    for each in target.candidates:
        own = dict(each.measurements)
        if "memory.peak" in own:
            own["memory.peak"] = own["memory.peak"].model_copy(update={"protocol": protocol})
        found.append(each.model_copy(update={"measurements": own}))
    return sample.sample_result(target.model_copy(update={"candidates": tuple(found)}))


@VIEWS
def test_peak_memory_is_told_as_what_was_added(view: str) -> None:
    """Guards against a figure that is read as all the memory that the process needs."""
    text = told(weighed(peak.PROTOCOL), view)
    assert "peak memory added" in text.lower()
    assert "over what the process held just before it loaded the model" in text


@VIEWS
def test_memory_of_an_accelerator_is_told_as_such(view: str) -> None:
    """Guards against memory on an accelerator that is read as the process's own."""
    text = told(weighed(peak.ON_ACCELERATOR), view).lower()
    assert "peak memory on the accelerator" in text
    assert "peak memory added" not in text
