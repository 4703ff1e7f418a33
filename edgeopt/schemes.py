"""INT8 schemes per instruction set: data, not branches.

TFLite has one set of types, int8 by int8, and differs in what is quantized when: see
``quantize_int8_tflite``. For ONNX, activations by weights: ``u8s8`` is uint8 by int8.
``reduced`` keeps weights in 7 bits: the multiply-add of AVX2 and AVX-512 without VNNI
(``vpmaddubsw``) adds two products in 16 bits and saturates on full-range weights. ``safe`` keeps 8
bits and enlarges the scale of those output channels alone in which two neighbouring weights could
overflow (``formats/onnx/saturation``).

ONNX Runtime fuses every quantized operator with int8 activations into an integer kernel on ARM
only (``QDQIsInt8Allowed`` in its optimizer); on x86 it does so where it can turn them into uint8,
for 58% of the shipped network's MACs, and the rest computes in float between its quantizers.
Measured on a CPU with AVX-512 VNNI, the shipped network against FP32: u8s8
2.5x, s8s8 0.75x. So ``s8s8`` is no choice of ``auto`` on x86; a recipe may still name it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgeopt.models.kind import LINEAR, RECURRENT
from edgeopt.schema.artifact import DYNAMIC
from edgeopt.schema.errors import UsageError
from edgeopt.schema.target import TargetFacts, parse_target
from edgeopt.step import close


@dataclass(frozen=True)
class Scheme:
    """One way to quantize. ``activation`` and ``weight`` are numpy's dtype names."""

    activation: str  # empty: they have no range of their own
    weight: str
    reduce_range: bool = False
    saturation_safe: bool = False
    symmetric: bool = False  # every zero point is 0


@dataclass(frozen=True)
class IsaRule:
    """Schemes worth trying, best guess first, for a machine that has ``any_of`` its features.

    ``arch`` is a prefix of the ISA's name; empty ``any_of`` asks for no feature. ``stems`` are
    the schemes that are worth trying with first convolutions in INT8, by runtimes whose integer
    kernels take those with short sums, too, so that float32 may be the slower there. ``dynamic``
    are those for networks of matrix products, see ``schemes_for``.
    """

    arch: str
    any_of: frozenset[str]
    schemes: tuple[str, ...]
    dynamic: tuple[str, ...] = ("dynamic",)
    stems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


SCHEMES: dict[str, Scheme] = {
    "u8s8": Scheme("uint8", "int8"),
    "u8s8-reduced": Scheme("uint8", "int8", reduce_range=True),
    "u8s8-safe": Scheme("uint8", "int8", saturation_safe=True),
    "s8s8": Scheme("int8", "int8"),
    "s8s8-symmetric": Scheme("int8", "int8", symmetric=True),
}
ON_ACCELERATORS: dict[str, tuple[str, ...]] = {  # whatever the CPU beside them
    # TensorRT has kernels for zero points of 0 alone (its guide to explicit quantization); not run
    "onnxruntime:cuda": ("s8s8-symmetric",),
    "onnxruntime:tensorrt": ("s8s8-symmetric",),
}
PLACEMENTS: dict[str, str] = dict.fromkeys(ON_ACCELERATORS, "products")  # elsewhere: every
OF_WEIGHTS: dict[str, Scheme] = {  # whose activations have no range before it runs
    "dynamic": Scheme("", "int8"),
    "dynamic-reduced": Scheme("", "int8", reduce_range=True),
    "weight-only": Scheme("", "int8"),
}
NNCF: dict[str, Scheme] = {  # its presets
    "performance": Scheme("int8", "int8"),
    "mixed": Scheme("uint8", "int8"),
}
EVERY = {**SCHEMES, **OF_WEIGHTS, **NNCF}
VNNI = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"})
BY_ISA: tuple[IsaRule, ...] = (  # the first that fits
    IsaRule("x86_64", VNNI, ("u8s8", "u8s8-safe"), stems={"openvino": ("u8s8", "u8s8-safe")}),
    IsaRule(
        "x86_64",
        frozenset(),
        ("u8s8-safe", "u8s8-reduced", "u8s8"),
        dynamic=("dynamic-reduced", "dynamic"),
        stems={"openvino": ("u8s8-safe",)},  # 0.98x there, and answers a little further off
    ),
    IsaRule("aarch64", frozenset(), ("s8s8", "u8s8")),
    IsaRule("arm", frozenset(), ("s8s8", "u8s8")),
    IsaRule("", frozenset(), ("u8s8", "u8s8-safe", "u8s8-reduced", "s8s8")),
)


TRAINED: tuple[str, ...] = ("u8s8", "u8s8-reduced", "s8s8", "int8")  # that qat trains for
FAKE_QUANTIZED = close(rtol=2e-2, atol=1e-5)  # a step of 255 is 0.4 to 0.8% of the largest value


LITERT: tuple[str, ...] = ("static", "dynamic")  # what `auto` stands for in TFLite, on any ISA


def schemes_for(facts: TargetFacts, kind: str = "") -> tuple[str, ...]:
    """Names of the schemes that ``auto`` stands for on a target, for a network of a ``kind``.

    Activations of attention and of recurrent states have outliers that no fixed range suits, and
    their products are few: there, ranges found as it runs come first. ONNX Runtime has operators
    for that. OpenVINO runs them at 1.2 times FP32 (2026.4.1, AVX2), and has kernels for weights
    alone.
    """
    if on := ON_ACCELERATORS.get(_place_of(facts)):
        return on
    rule = _rule_for(facts)
    if kind not in (LINEAR, RECURRENT):
        return rule.schemes
    first = {"onnxruntime": rule.dynamic, "openvino": ("weight-only",)}
    return (*first.get(_runtime_of(facts), ()), *rule.schemes[:1])


def int8_stems_for(facts: TargetFacts) -> tuple[str, ...]:
    """The schemes that are worth trying with first convolutions in INT8, too, on a target."""
    return _rule_for(facts).stems.get(_runtime_of(facts), ())


def placement_for(facts: TargetFacts) -> str:
    """Where static schemes put quantizers for a target, see ``quantize-int8``.

    OpenVINO fuses what follows a product with either, and is no faster with fewer of them
    (2026.4.1, AVX2: 1.01x on EfficientNet-Lite0, 1.04x on the network over sensor windows).
    """
    return PLACEMENTS.get(_place_of(facts), "every")


def _rule_for(facts: TargetFacts) -> IsaRule:
    has = {*facts.features, *facts.isa.split("-")[1:]}
    fitting = (
        rule
        for rule in BY_ISA
        if facts.isa.startswith(rule.arch) and (not rule.any_of or rule.any_of & has)
    )
    return next(fitting)


def _runtime_of(facts: TargetFacts) -> str:
    """The runtime of a target; empty where it is none that can be read."""
    return _place_of(facts).partition(":")[0]


def _place_of(facts: TargetFacts) -> str:
    """``RUNTIME:ACCELERATOR`` of a target; empty where it is none that can be read."""
    try:
        target = parse_target(facts.target)
    except UsageError:
        return ""
    return f"{target.runtime}:{target.accelerator}"


def onnx_facts(scheme: str) -> frozenset[str]:
    """Facts of an ONNX file that is quantized so, ``auto`` standing for what suits x86."""
    activation = EVERY[scheme].activation if scheme in EVERY else "uint8"
    more = {"int8": {"qdq", "int8-activations"}, "uint8": {"qdq"}, "": set()}[activation]
    return frozenset({"int8", *more, *([DYNAMIC] if scheme.startswith("dynamic") else [])})


def scheme_trained(facts: Iterable[str]) -> str:
    """The scheme that a model was trained with, by its facts; empty where it was not."""
    return next((f.removeprefix("qat-") for f in sorted(facts) if f.startswith("qat-")), "")


def trained_scheme_for(facts: TargetFacts) -> str:
    """The one scheme worth training for a target: training costs too much to try several."""
    if _runtime_of(facts) == "litert":
        return "int8"
    return next(name for name in (*schemes_for(facts), "u8s8") if name in TRAINED)
