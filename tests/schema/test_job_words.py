"""Jobs in words: one notation of a candidate in log and tables."""

from __future__ import annotations

import pytest

from edgeopt.schema.job_words import job_in_words, place_in_words


@pytest.mark.parametrize(
    ("id", "text"),
    [
        ("source", "source"),
        ("a/b(scheme=u8s8)", "a > b(scheme=u8s8)"),
        ("a(loss=net/loss.py:LOSS)/b", "a(loss=net/loss.py:LOSS) > b"),
        ("data:test", "samples of test"),
        ("data:overlap", "check for samples in two splits"),
        ("tensors:validation:1d5a7bc2", "samples of validation, preprocessed"),
        ("check:a/b", "check of a > b"),
        ("conversion:litert:a/b", "number formats in litert: a > b"),
        ("node-by-node:a/b", "run node by node in float32: a > b"),
        ("score:validation:local/torch:source", "score on validation: torch: source"),
        (
            "score:test:ssh:cam/onnxruntime:cuda:a/b(code=c/d.py:N)",
            "score on test: onnxruntime:cuda: a > b(code=c/d.py:N) on ssh:cam",
        ),
        (
            "metric:mine:score:test:local/litert:a/b",
            "metric mine, score on test: litert: a > b",
        ),
        (
            "race:full:local/litert#a/b against local/onnxruntime#c",
            "full race: litert: a > b against onnxruntime: c",
        ),
        (
            "race:head-to-head:local/litert#a/b against local/onnxruntime#c",
            "head to head: litert: a > b against onnxruntime: c",
        ),
        (
            "race:settings:local/litert#a/b (api=compiled) against local/litert#a/b",
            "under other settings: litert: a > b (api=compiled) against litert: a > b",
        ),
    ],
)
def test_a_job_is_told_in_the_notation_of_the_tables(id: str, text: str) -> None:
    assert job_in_words(id) == text


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("check:a/b", "check of a > b"),
        ("a/b(scheme=u8s8)", "a > b(scheme=u8s8)"),
        ("models/net.onnx", "models/net.onnx"),
        ("/home/me/model(1)/net.onnx", "/home/me/model(1)/net.onnx"),
        ("net(1)/m.onnx", "net(1)/m.onnx"),
        ("models/saved", "models/saved"),
        ("emulated:haswell", "emulated:haswell"),
        ("/block/conv1/Conv", "/block/conv1/Conv"),
    ],
)
def test_paths_and_tensors_in_errors_stay_as_they_are(where: str, text: str) -> None:
    assert place_in_words(where) == text
