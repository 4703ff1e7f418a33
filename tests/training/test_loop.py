"""The training loop on real samples: equal bits, resumption, and what goes wrong."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_parts import images, network, sha256, trained

from edgeopt.agent import machine
from edgeopt.schema.errors import DataError, PassError
from edgeopt.training import Batch, Samples, Score, TrainingSettings, fit, supervised
from edgeopt.training.checkpoints import FILE

SHORT = TrainingSettings(steps=24, batch=32, lr=0.05, ema=0.0, checkpoint_every=5)


def with_(**fields: Any) -> TrainingSettings:
    return SHORT.model_copy(update=fields)


def test_it_learns_and_tells_how_far_it_is() -> None:
    told: list[tuple[float, float | None, dict[str, float]]] = []
    module, fitted = trained(
        with_(steps=None, epochs=6, batch=20),
        progress=lambda done, total=None, **figures: told.append((done, total, figures)),
    )
    assert not module.training
    assert fitted.steps == 120 and fitted.epochs == 6 and len(fitted.history) == 6
    assert fitted.best is not None and fitted.best > 0.5
    assert [done for done, _, _ in told] == list(range(1, 121))
    assert {"epoch", "epochs", "loss", "accuracy", "left_s"} <= set(told[0][2])
    assert told[-1][1] == 120 and "validation_accuracy" in told[-1][2]
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    settings = with_(shift=2, mirror=True, erase=4)
    first, second, third = (sha256(trained(settings, seed=seed)[0]) for seed in (3, 3, 4))
    assert first == second != third


def test_random_states_threads_and_modes_of_the_caller_stay() -> None:
    module, samples, threads = network(), images("train", 64), torch.get_num_threads()
    torch.manual_seed(5)
    random.seed(5)
    np.random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    fit(module, samples, supervised(), with_(steps=2))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "adamw", "lr": 1e-3, "schedule": "cosine", "warmup": 0.1},
        {"optimizer": "adam", "lr": 1e-3, "schedule": "constant", "clip": 0.5},
        {"optimizer": "RAdam", "lr": 1e-3, "schedule": "step"},
        {"precision": "bfloat16", "ema": 0.9, "patience": 5},
        {"precision": "float16", "clip": 1.0},
    ],
    ids=lambda fields: fields.get("optimizer", fields.get("precision")),
)
def test_a_run_that_ends_early_goes_on_to_the_same_bits(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    settings = with_(**fields)
    whole, unbroken = trained(settings)

    class StoppedError(Exception):
        pass

    def stop(_module: Any, step: int, _total: int) -> None:
        if step == 13:
            raise StoppedError

    with pytest.raises(StoppedError):
        trained(settings, checkpoints=tmp_path, before_step=stop)
    resumed, fitted = trained(settings, checkpoints=tmp_path)
    assert fitted.resumed_from == 10
    assert fitted.history == unbroken.history and fitted.best == unbroken.best
    assert sha256(resumed) == sha256(whole)
    again, fitted = trained(settings, checkpoints=tmp_path)
    assert fitted.resumed_from == 24
    assert sha256(again) == sha256(whole)


def test_precision_auto_is_bfloat16_where_the_cpu_computes_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for features, same in ((["avx2"], "float32"), (["avx2", "avx512_bf16"], "bfloat16")):
        monkeypatch.setattr(machine, "facts", lambda found=features: {"features": found})
        automatic, _ = trained(with_(precision="auto"))
        named, _ = trained(with_(precision=same))
        assert sha256(automatic) == sha256(named)


def test_a_checkpoint_of_other_settings_is_not_gone_on_from(tmp_path: Path) -> None:
    trained(SHORT, checkpoints=tmp_path)
    _, fitted = trained(with_(lr=0.04), checkpoints=tmp_path)
    assert fitted.resumed_from == 0


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no checkpoint")
    with pytest.raises(PassError, match="no checkpoint") as caught:
        trained(SHORT, checkpoints=tmp_path)
    assert str(tmp_path) in caught.value.where


def test_a_loss_that_is_no_number_names_the_step_and_keeps_the_last_checkpoint(
    tmp_path: Path,
) -> None:
    plain = supervised()

    def loss(module: Any, batch: Batch) -> Any:
        value, figures = plain(module, batch)
        return (value * float("nan") if batch.step == 12 else value), figures

    def run() -> None:
        fit(network(), images("train", 400), loss, SHORT, seed=3, checkpoints=tmp_path)

    with pytest.raises(PassError, match=r"the loss is nan at step 12 \(epoch 1.00\)") as caught:
        run()
    assert "step 10 is kept in" in caught.value.hint
    state = torch.load(tmp_path / FILE, weights_only=True)
    assert all(value.isfinite().all() for value in state["objective"].values())


def test_a_rate_that_is_far_too_high_is_an_error() -> None:
    with pytest.raises(PassError, match=r"at step|after step"):
        trained(with_(lr=1e30, warmup=0.0))


def test_early_stopping_keeps_the_best_epoch() -> None:
    seen: list[dict[str, torch.Tensor]] = []
    scores = iter([0.5, 0.7, 0.6, 0.65, 0.9])

    def validate(module: torch.nn.Module) -> Score:
        seen.append({name: value.clone() for name, value in module.state_dict().items()})
        return Score(next(scores), True)

    module, fitted = trained(with_(steps=None, epochs=9, patience=2), validate=validate)
    assert fitted.stopped_early and fitted.best == 0.7 and fitted.epochs == 4
    kept = module.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in seen[1].items())


def test_the_average_is_what_is_kept() -> None:
    last, averaged = (trained(with_(ema=ema))[0] for ema in (0.0, 0.95))
    assert sha256(last) != sha256(averaged)
    assert averaged.state_dict()["norm.running_mean"].isfinite().all()


def test_a_loss_with_weights_of_its_own_trains_them(tmp_path: Path) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, module: Any, batch: Batch) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(
                module(**batch.inputs) * self.scale, batch.labels
            )

    loss = Scaled()
    fit(network(), images("train", 64), loss, with_(steps=5), checkpoints=tmp_path)
    assert float(loss.scale.detach()) != 1.0
    assert "loss.scale" in torch.load(tmp_path / FILE, weights_only=True)["objective"]


def test_wrong_calls_say_what_is_wrong() -> None:
    with pytest.raises(PassError, match="no optimizer 'adamv'") as caught:
        trained(with_(optimizer="adamv"))
    assert "Did you mean 'adam" in caught.value.hint
    frozen = network().requires_grad_(False)
    with pytest.raises(PassError, match="no parameter to train"):
        fit(frozen, images("train", 64), supervised(), SHORT)
    unlabelled = Samples(images("train", 64).inputs)
    with pytest.raises(PassError, match="needs labels"):
        fit(network(), unlabelled, supervised(), SHORT)
    wide = Samples(unlabelled.inputs, np.full(64, 10))
    with pytest.raises(PassError, match="label 10 has no score: 10 classes"):
        fit(network(), wide, supervised(), SHORT)
    with pytest.raises(DataError, match="different lengths"):
        Samples(unlabelled.inputs, np.zeros(63))


def test_scores_of_numpy_can_be_gone_on_from(tmp_path: Path) -> None:
    settings, asked = with_(steps=20, batch=20, patience=3), {"seed": 3, "checkpoints": tmp_path}

    def validate(_module: Any) -> Score:
        return Score(np.float64(0.5), True, {"validation_loss": np.float32(1)})

    samples = images("train", 100)
    fit(network(), samples, supervised(), settings, validate=validate, **asked)
    fitted = fit(network(), samples, supervised(), settings, validate=validate, **asked)
    assert fitted.resumed_from == fitted.steps


def test_settings_that_could_not_work_are_refused() -> None:
    with pytest.raises(PassError, match="patience needs"):
        trained(with_(patience=3), validate=None)
    for share in (0.0, 1.0, 30.0):
        with pytest.raises(ValueError, match="decay_at"):
            TrainingSettings(schedule="step", decay_at=(share,))
    assert TrainingSettings(decay_at=[0.3, 0.6]).decay_at == (0.3, 0.6)
