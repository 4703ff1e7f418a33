"""A comparison as JUnit XML: a test case for each requirement on each target."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from edgeopt.schema.base import printable
from edgeopt.schema.comparison import Comparison

NO_XML = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")


def draw(comparison: Comparison) -> str:
    """The whole document. Inconclusive verdicts are failures of their own type."""
    cases = [(pair.target, verdict) for pair in comparison.pairs for verdict in pair.verdicts]
    bad = sum(verdict.verdict != "pass" for _, verdict in cases)
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root, "testsuite", name=_text(f"{comparison.b} against {comparison.a}"),
        tests=str(len(cases)), failures=str(bad), errors="0",
    )  # fmt: skip
    for target, verdict in cases:
        case = ElementTree.SubElement(
            suite, "testcase", classname=_text(target), name=_text(verdict.constraint)
        )
        if verdict.verdict == "pass":
            ElementTree.SubElement(case, "system-out").text = _text(verdict.sentence)
        else:
            ElementTree.SubElement(
                case, "failure", type=verdict.verdict, message=_text(verdict.sentence)
            )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _text(text: str) -> str:
    return NO_XML.sub("?", printable(text))
