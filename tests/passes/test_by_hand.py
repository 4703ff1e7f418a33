"""Passes called in a user's own script: odd networks, and mistakes that are told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgeopt.formats.torch.module import macs
from edgeopt.passes import Distill, PruneGradual, PruneStructured, PruneUnstructured, Qat
from edgeopt.schema.errors import DataError, PassError

pytestmark = pytest.mark.extras
SHORT: dict[str, Any] = {"steps": 3, "batch": 16, "lr": 1e-6}
SELF = {**SHORT, "teacher": "parent"}


def images(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    made = np.random.default_rng(0)
    return made.normal(size=(count, 3, 8, 8)).astype("float32"), made.integers(0, 5, count)


class Net(nn.Module):
    """Convolution, something a test says, convolution, linear layer."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.h, self.between = nn.Linear(16, 5), between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.h(functional.relu(self.b(self.between(self.a(x)))).mean((2, 3)))


class Viewed(nn.Module):
    """Relies on channels first in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.h = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16 * 64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.h(torch.relu(self.a(x)).view(x.size(0), -1))


def part_scaled(y: torch.Tensor) -> torch.Tensor:
    y[:, :8].mul_(-3.0)
    return y


def whole_after_view(y: torch.Tensor) -> torch.Tensor:
    flat = y.flatten(1)
    functional.relu(y, inplace=True)
    return y + flat.reshape(y.shape)


def shuffled(y: torch.Tensor) -> torch.Tensor:
    b, c, h, w = y.shape
    return y.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)


@pytest.mark.parametrize("between", [part_scaled, whole_after_view])
def test_a_write_into_a_view_is_refused_with_its_line(between: Any) -> None:
    with pytest.raises(PassError, match="write in place") as raised:
        Qat(**SHORT)(Net(between), images())
    assert "test_by_hand.py" in f"{raised.value.what} {raised.value.where}"


@pytest.mark.parametrize("between", [shuffled, lambda y: functional.relu(y, inplace=True)])
def test_quantization_answers_as_the_module_did(between: Any) -> None:
    net, (x, y) = Net(between).eval(), images()
    made = Qat(**SHORT)(net, (x, y)).eval()
    with torch.no_grad():
        before, after = net(torch.from_numpy(x)), made(torch.from_numpy(x))
    assert (before - after).abs().max() < 0.1 * before.abs().max()


@pytest.mark.parametrize(
    "step", [Distill(**SELF), Qat(**SHORT), PruneGradual(sparsity=0.5, **SHORT)]
)
def test_a_network_that_views_what_a_convolution_gives_trains(step: Any) -> None:
    assert isinstance(step(Viewed(), images()), nn.Module)


def test_attention_trains_with_quantization() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.i, self.h = nn.Linear(12, 16), nn.Linear(16, 5)
            self.at = nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.i(x)
            return self.h(self.at(y, y, y)[0].mean(1))

    x = np.random.default_rng(0).normal(size=(64, 7, 12)).astype("float32")
    net = Attends().eval()
    made = Qat(**SHORT)(net, (x, np.arange(64) % 5)).eval()
    with torch.no_grad():
        gap = (net(torch.from_numpy(x)) - made(torch.from_numpy(x))).abs().max()
    assert gap < 0.1


def test_inputs_keep_the_order_of_forward() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.u, self.v = nn.Linear(20, 5), nn.Linear(20, 5)

        def forward(self, u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return self.u(u) - self.v(v)

    made = np.random.default_rng(0)
    data = {name: made.normal(size=(64, 20)).astype("float32") for name in ("v", "u")}
    net = Two().eval()
    quantized = Qat(**SHORT)(net, (data, np.arange(64) % 5)).eval()
    u, v = torch.from_numpy(data["u"]), torch.from_numpy(data["v"])
    with torch.no_grad():
        assert (quantized(u, v) - net(u, v)).abs().max() < 0.1 * net(u, v).abs().max()


def test_what_is_quantized_is_neither_trained_nor_pruned_again() -> None:
    quantized = Qat(**SHORT)(Net(nn.ReLU()), images())
    for step in (
        Qat(**SHORT),
        Distill(**SELF),
        PruneStructured(macs=0.5),
        PruneUnstructured(sparsity=0.5),
    ):
        with pytest.raises(PassError, match="quantized"):
            step(quantized, images())


def test_a_checkpoint_is_not_gone_on_from_for_other_weights_or_data(tmp_path: Path) -> None:
    x, y = images()
    first = Distill(steps=4, batch=16, teacher="parent")(
        Net(nn.ReLU()), (x, y), checkpoints=tmp_path
    )
    again = Distill(steps=4, batch=16, teacher="parent")(
        Net(nn.ReLU()), (x, y), checkpoints=str(tmp_path)
    )
    other = Distill(steps=4, batch=16, teacher="parent")(
        Net(nn.ReLU()), (x * 2, y), checkpoints=tmp_path
    )
    assert torch.equal(first.h.weight, again.h.weight)
    assert not torch.equal(first.h.weight, other.h.weight)


def test_a_teacher_may_name_its_inputs_otherwise() -> None:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
    assert isinstance(Distill(**SHORT)(Net(nn.ReLU()), images(), teacher=teacher), nn.Module)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.full(96, -1), "label -1 has no score"),
        (np.zeros((96, 1), np.int64), "one number a sample"),
        (np.zeros(50, np.int64), "different lengths"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels: np.ndarray, said: str) -> None:
    with pytest.raises((PassError, DataError), match=said):
        Distill(**SELF)(Net(nn.ReLU()), (images()[0], labels))


def test_taylor_looks_through_frozen_layers_and_names_labels_without_a_score() -> None:
    module, step = (
        Net(nn.ReLU()).requires_grad_(False),
        PruneStructured(ratio=0.5, importance="taylor"),
    )
    assert isinstance(step(module, images()), nn.Module)
    assert not any(p.requires_grad for p in module.parameters())
    with pytest.raises(PassError, match="label 7 has no score"):
        step(module, (images()[0], np.full(96, 7)))


def test_a_layer_is_not_emptied() -> None:
    with pytest.raises(PassError, match="keep none of its"):
        PruneUnstructured(sparsity=0.9999, scope="layer")(Net(nn.ReLU()))


def test_attention_maps_need_positions() -> None:
    step = Distill(method="attention", layers={"h": "h"}, **SELF)
    with pytest.raises(PassError, match="'h'"):
        step(Net(nn.ReLU()), images())


def test_fused_attention_and_recurrent_layers_are_counted() -> None:
    class Fused(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.scaled_dot_product_attention(x, x, x)

    assert macs(Fused(), {"x": torch.randn(1, 4, 16, 8)}) == 2 * 4 * 16 * 16 * 8
    lstm = nn.LSTM(3, 64, batch_first=True)
    assert macs(lstm, {"input": torch.randn(1, 64, 3)}) == 64 * 4 * 64 * (3 + 64)


def test_a_split_that_no_pass_reads_is_named_and_the_test_split_left_alone() -> None:
    splits = {"train": images(), "validation": images(), "calibration": images(), "test": "unread"}
    assert isinstance(Distill(**SELF)(Net(nn.ReLU()), splits), nn.Module)
    with pytest.raises(DataError, match="'trian'"):
        Distill(**SELF)(Net(nn.ReLU()), {"trian": images(), "validation": images()})
    with pytest.raises(DataError, match="a str is not data"):
        Distill(**SELF)(Net(nn.ReLU()), "images.npz")


class Tokens(nn.Module):
    """Pixels as tokens of a transformer encoder."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(3, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.embed(x.flatten(2).transpose(1, 2))).mean(1))


class Wrapped(nn.Conv2d):
    """A convolution that holds the norm behind it."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__(3, 16, 3, padding=1)
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(super().forward(x))


class Forked(nn.Module):
    """Two branches whose widths divide what they are joined to, and channels shuffled before."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.a = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 16, 3)
        self.b, self.last, self.h = nn.Conv2d(16, 16, 3), nn.Linear(32, 24), nn.Linear(24, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = shuffled(self.stem(x))
        both = [torch.relu(branch(y)).mean((2, 3)) for branch in (self.a, self.b)]
        return self.h(torch.relu(self.last(torch.cat(both, 1))))


class Auxiliary(nn.Module):
    """A second head that runs in training alone."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)
        self.aux, self.h = nn.Linear(16, 5), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> Any:
        y = torch.relu(self.a(x))
        made = self.h(torch.relu(self.b(y)).mean((2, 3)))
        return (made, self.aux(y.mean((2, 3)))) if self.training else made


def test_a_transformer_without_some_heads_trains_with_quantization() -> None:
    pruned = PruneStructured(ratio={"encoder.layers.0.self_attn": 0.5}, round_to=1)(
        Tokens(), images()
    )
    made = Qat(**SHORT)(pruned, images())
    assert made(torch.from_numpy(images(4)[0])).shape == (4, 5)


def test_a_computed_weight_is_left_in_float() -> None:
    between = nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 1))
    made = Qat(**SHORT)(Net(between), images())
    assert torch.isfinite(made(torch.from_numpy(images(4)[0]))).all()


def test_layers_that_are_frozen_stay_so() -> None:
    net = Net(nn.Identity())
    net.b.requires_grad_(False)
    made = Qat(**{**SHORT, "lr": 0.5})(net, images()).state_dict()

    def moved(name: str) -> torch.Tensor:
        before, after = net.state_dict()[f"{name}.weight"], made[f"{name}.weight"]
        return (after - before).abs().flatten(1).amax(1) / made[f"{name}.weight_scale.value"]

    assert moved("b").max() <= 0.51 and moved("h").max() > 0.51, "in steps of the weights' grid"


@pytest.mark.parametrize("norm", [nn.GroupNorm(4, 16), nn.Identity(), nn.BatchNorm2d(16)])
def test_a_layer_may_hold_what_is_called_norm(norm: nn.Module) -> None:
    net = Net(nn.Identity())
    net.a = Wrapped(norm)
    assert Qat(**SHORT)(net, images())(torch.from_numpy(images(4)[0])).shape == (4, 5)


def test_group_norm_trains_where_its_input_needs_no_gradient() -> None:
    net = nn.Sequential(nn.GroupNorm(1, 3), nn.Conv2d(3, 16, 3), nn.Flatten(), nn.Linear(576, 5))
    made = Distill(**SELF)(net, images())
    assert torch.isfinite(made(torch.from_numpy(images(4)[0]))).all()


def test_branches_and_channels_that_are_shuffled_are_tried() -> None:
    made = PruneStructured(ratio={"a": 0.5, "b": 0.5, "last": 0.5}, round_to=1)(Forked(), images())
    assert (made.a.out_channels, made.b.out_channels, made.last.in_features) == (8, 8, 16)


def test_a_head_that_runs_in_training_alone_is_told_of() -> None:
    with pytest.raises(PassError, match="cannot run in training mode"):
        PruneStructured(ratio={"a": 0.5}, round_to=1)(Auxiliary(), images())
    with pytest.raises(PassError, match="in training mode the student gives 2 outputs") as caught:
        Distill(**SELF)(Auxiliary(), images())
    assert "auxiliary" in caught.value.hint


def test_single_weights_of_what_is_computed_or_would_be_empty() -> None:
    net = Net(nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 16, 1)))
    with pytest.raises(PassError, match="'between' computes its weight"):
        PruneUnstructured(sparsity=0.5)(net, images())
    small = Net(nn.Identity())
    with torch.no_grad():
        small.b.weight *= 1e-6
    with pytest.raises(PassError, match="'b' would keep none"):
        PruneGradual(sparsity=0.85, **SHORT)(small, images())


def test_two_of_four_inputs_of_a_transposed_convolution() -> None:
    made = PruneUnstructured(pattern="2:4")(Net(nn.ConvTranspose2d(16, 16, 3, padding=1)))
    inputs = made.between.weight.detach().movedim(0, -1).reshape(-1, 4)
    assert ((inputs != 0).sum(1) == 2).all()


def test_another_step_or_other_samples_train_anew(tmp_path: Path) -> None:
    def by_labels(student: Any, _teacher: Any, inputs: Any, labels: Any) -> torch.Tensor:
        return functional.cross_entropy(student(**inputs), labels)

    def by_twice(student: Any, _teacher: Any, inputs: Any, labels: Any) -> torch.Tensor:
        return 2 * functional.cross_entropy(student(**inputs), labels)

    x, y = images(400)
    changed = x.copy()
    changed[150:250] += 1
    net, step = Net(nn.Identity()), Distill(**{**SHORT, "lr": 0.01})
    kept: dict[str, Any] = {"checkpoints": tmp_path}
    first = step(net, (x, y), training_step=by_labels, **kept)
    again = step(net, (x, y), training_step=by_labels, **kept)
    assert torch.equal(first.b.weight, again.b.weight)
    for data, own in (((x, y), by_twice), ((changed, y), by_labels)):
        other = step(net, data, training_step=own, **kept)
        assert torch.equal(other.b.weight, step(net, data, training_step=own).b.weight)
        assert not torch.equal(other.b.weight, first.b.weight)


def test_where_tokens_look() -> None:
    from edgeopt.training.layers import pairs_of

    few = {"x": torch.from_numpy(images(2)[0])}
    told = {p.student: p.channels for p in pairs_of(Tokens(), Tokens(), few, {}, 3)}
    assert set(told.values()) == {2}, "(batch, tokens, channels)"
    two = Net(nn.Identity())
    assert {p.channels for p in pairs_of(two, two, few, {}, 3)} == {1}


def test_lists_of_batches_and_half_precision_are_read() -> None:
    x, y = images(64)
    batches = [(torch.from_numpy(part).bfloat16(), labels) for part, labels in
               zip(np.split(x, 2), np.split(y, 2), strict=True)]  # fmt: skip
    assert Distill(**SELF)(Net(nn.Identity()), batches) is not None
    with pytest.raises(DataError, match="are numbers"):
        Distill(**SELF)(Net(nn.Identity()), (x, y.astype(str)))
    old = Net(nn.utils.weight_norm(nn.Conv2d(16, 16, 1)))
    old(torch.from_numpy(x[:2]))
    with pytest.raises(PassError, match="cannot be copied"):
        Distill(**SELF)(old, (x, y))


class Dense(nn.Module):
    """Scores of two classes at each place."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(functional.relu(self.a(x)))


def test_masks_are_learnt() -> None:
    x = images()[0]
    masks = (x.mean(1) > 0).astype(np.int64)
    told: dict[str, float] = {}
    longer: dict[str, Any] = {"steps": 60, "batch": 16, "lr": 0.05, "ema": 0.0}

    def progress(_done: float, _total: Any, **figures: float) -> None:
        told.update(figures)

    made = Distill(soft=0.0, **longer)(Dense(), (x, masks), progress=progress)
    assert told["validation_accuracy"] > 0.9
    small = Distill(**longer)(Dense(8), (x, masks), teacher=made, progress=progress)
    assert told["validation_accuracy"] > 0.9
    Qat(**{**longer, "lr": 1e-4})(small, (x, masks), progress=progress)
    assert told["validation_accuracy"] > 0.9
    PruneStructured(ratio=0.5, round_to=1, importance="taylor")(made, (x, masks))
    with pytest.raises(PassError, match="not the labels of their places"):
        Distill(shift=1, **SELF)(Dense(), (x, masks))
    with pytest.raises(PassError, match="one number a place"):
        Distill(**SELF)(Dense(), (x, masks[:, :4]))


def test_values_of_another_layout_are_refused() -> None:
    x = images()[0]
    first = np.zeros((96, 2, 8, 8), np.float32)
    assert Distill(**SELF)(Dense(), (x, first)) is not None
    with pytest.raises(PassError, match="values to predict"):
        Distill(**SELF)(Dense(), (x, first.transpose(0, 2, 3, 1)))


def test_a_network_does_not_teach_itself_unasked() -> None:
    net, data = Net(nn.Identity()), images()
    with pytest.raises(PassError, match="would learn from itself"):
        Distill(**SHORT)(net, data)
    with pytest.raises(PassError, match="a teacher were given"):
        Distill(**SELF)(net, data, teacher=net)
    with pytest.raises(PassError, match="prune-gradual takes no teacher"):
        PruneGradual(sparsity=0.5, **SHORT)(net, data, teacher=net)
    assert Distill(soft=0.0, **SHORT)(net, data) is not None


def test_who_it_is_says_nothing_of_where_an_embedding_lies() -> None:
    x, told = images()[0], {}

    def progress(_done: float, _total: Any, **figures: float) -> None:
        told.update(figures)

    step = Distill(outputs="embedding", **SHORT)
    made = [
        step(Net(nn.Identity()), data, teacher=Net(nn.ReLU()), progress=progress).state_dict()
        for data in ((x, np.arange(96)), (x, np.arange(96) % 5), x)
    ]
    assert "validation_loss" in told and "accuracy" not in told
    assert all(torch.equal(made[0][name], each[name]) for each in made[1:] for name in made[0])


def test_a_step_of_ones_own_may_learn_what_labels_do_not_say() -> None:
    x, told = images()[0], {}

    class Two(Net):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            made = super().forward(x)
            return made, made.square()

    def pulled(student: Any, teacher: Any, inputs: Any, labels: Any) -> torch.Tensor:
        assert labels.max() > 5, "identities"
        return functional.mse_loss(student(**inputs)[0], teacher(**inputs))

    def progress(_done: float, _total: Any, **figures: float) -> None:
        told.update(figures)

    step, teacher = Distill(epochs=2, batch=16, lr=1e-3, patience=1), Net(nn.ReLU())
    data = (x, np.arange(96))
    step(Two(nn.Identity()), data, teacher=teacher, training_step=pulled, progress=progress)
    assert told["validation_loss"] > 0


def test_without_labels_quantization_is_judged_by_its_source() -> None:
    told: dict[str, float] = {}

    def progress(_done: float, _total: Any, **figures: float) -> None:
        told.update(figures)

    Qat(patience=1, **SHORT)(Net(nn.Identity()), images()[0], progress=progress)
    assert told["validation_loss"] < 0.1


def test_what_is_no_batch_is_told() -> None:
    x, y = images()
    net = Net(nn.Identity())
    with pytest.raises(DataError, match="a single number where a batch"):
        Distill(**SELF)(net, [(x[i], y[i]) for i in range(64)])
    with pytest.raises(DataError, match="different shapes"):
        Distill(**SELF)(net, ([x, x[:, :1]], y))

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net, self.flat = Net(nn.Identity()), nn.Linear(7, 5)

        def forward(self, image: torch.Tensor, meta: torch.Tensor) -> torch.Tensor:
            return self.net(image) + self.flat(meta)

    meta = np.zeros((96, 7), np.float32)
    assert PruneStructured(ratio=0.5, round_to=1)(Both(), ((x, meta), y)) is not None
    assert PruneStructured(ratio=0.5, round_to=1)(Both(), [([x, meta], y)]) is not None

    class Lost(Net):
        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(super().forward(x), labels)

    with pytest.raises(PassError, match="a single number for the whole batch"):
        Distill(**SELF)(Lost(nn.Identity()), {"x": x, "labels": y})


def test_a_batch_that_forward_fixes_is_told() -> None:
    class Fixed(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + torch.ones(1, 5).expand(len(x), -1)

    with pytest.raises(PassError, match="batch") as caught:
        Qat(**SHORT)(Fixed(nn.Identity()), images())
    assert "x.shape[0]" in caught.value.hint


def test_states_of_a_recurrent_layer_that_are_joined_are_beyond_the_graph() -> None:
    class Heard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.h = nn.Conv1d(3, 16, 3, padding=1), nn.Linear(32, 5)
            self.g = nn.GRU(16, 16, batch_first=True, bidirectional=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            last = self.g(self.a(x).transpose(1, 2))[1]
            return self.h(torch.cat([last[0], last[1]], 1))

    sounds = np.random.default_rng(0).normal(size=(32, 3, 20)).astype(np.float32)
    with pytest.raises(PassError, match="Torch-Pruning cannot follow the network"):
        PruneStructured(ratio=0.5, round_to=1)(Heard(), sounds)
