"""A comparison as JUnit XML: a test case for each requirement on each target."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from edgeopt.schema.base import printable
from edgeopt.schema.comparison import Comparison

NO_XML = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")


def draw(comparison: Comparison) -> str:
    """The whole document. Inconclusive verdicts are failures of their own type.

    A target that B did not decide is an error whose type is the target's verdict.
    """
    cases = [(pair.target, verdict) for pair in comparison.pairs for verdict in pair.verdicts]
    bad = sum(verdict.verdict != "pass" for _, verdict in cases)
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root, "testsuite", name=_text(f"{comparison.b} against {comparison.a}"),
        tests=str(len(cases) + len(comparison.undecided)), failures=str(bad),
        errors=str(len(comparison.undecided)),
    )  # fmt: skip
    for target, why in comparison.undecided.items():
        case = ElementTree.SubElement(suite, "testcase", classname=_text(target), name="a choice")
        ElementTree.SubElement(case, "error", type=why.partition(":")[0], message=_text(why))
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
