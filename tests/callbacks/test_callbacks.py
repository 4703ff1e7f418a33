"""Figures on the target in the middle of real trainers' loops, which go on as if nothing was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.extras

SHORT = {"passes": ["export-onnx", {"one_of": ["none", {"quantize-int8": {"scheme": "auto"}}]}]}
SAMPLES, CLASSES = 96, 3


def images() -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright third of the picture, whose place is the class."""
    rng = np.random.default_rng(0)
    label = np.arange(SAMPLES) % CLASSES
    x = rng.normal(0, 0.3, (SAMPLES, 1, 9, 9)).astype(np.float32)
    for sample, place in enumerate(label):
        x[sample, 0, 3 * place : 3 * place + 3] += 1
    return x, label.astype(np.int64)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 16, 3, padding=1)
        self.more = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.head = torch.nn.Linear(16 * 81, CLASSES)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.more(torch.relu(self.conv(x))))
        return self.head(y.flatten(1))


def checked(found: dict[str, float]) -> None:
    assert found["edgeopt/latency_p50_ms"] > 0 and found["edgeopt/x_reference"] > 0
    assert 0 <= found["edgeopt/int8_accuracy"] <= 1
    assert found["edgeopt/int8_size_bytes"] < found["edgeopt/size_bytes"] * 4


@pytest.mark.long
def test_lightning_logs_the_target_and_trains_to_the_same_bits(tmp_path: Path) -> None:
    import lightning.pytorch as pl

    from edgeopt.callbacks.lightning import OnTargetCallback

    x, y = images()
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))

    class Wrapped(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = Net()

        def training_step(self, batch: Any, _index: int) -> Any:
            return torch.nn.functional.cross_entropy(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.05)

    def trained(*callbacks: Any) -> tuple[Any, Any]:
        pl.seed_everything(1)
        module = Wrapped()
        loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
        trainer = pl.Trainer(
            max_epochs=2, callbacks=list(callbacks), accelerator="cpu", logger=False,
            enable_checkpointing=False, enable_progress_bar=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module, loader)
        return module, trainer

    watch = OnTargetCallback((x, y), every=2, part="model", store=tmp_path / "store", **SHORT)
    module, trainer = trained(watch)
    assert len(watch.history) == 1
    checked(watch.history[0])
    logged = {name: float(value) for name, value in trainer.logged_metrics.items()}
    assert logged["edgeopt/int8_accuracy"] == pytest.approx(
        watch.history[0]["edgeopt/int8_accuracy"]
    )
    alone, _ = trained()
    for mine, theirs in zip(module.parameters(), alone.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.long
def test_transformers_notes_the_target_in_its_history(tmp_path: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    from edgeopt.callbacks.transformers import OnTargetCallback

    rng = np.random.default_rng(0)
    ids = rng.integers(5, 60, (SAMPLES, 12))
    label = np.arange(SAMPLES) % 2
    ids[:, 3] = np.where(label, 70, 80)
    config = BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=16, num_labels=2,
    )  # fmt: skip

    class Logits(torch.nn.Module):
        def __init__(self, model: Any) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids)).logits

    watch = OnTargetCallback(
        [{"input_ids": i, "label": n} for i, n in zip(ids, label, strict=True)],
        part=Logits,
        store=tmp_path / "store",
        **SHORT,
    )
    rows = [
        {"input_ids": i, "labels": n} for i, n in zip(ids.tolist(), label.tolist(), strict=True)
    ]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=1, per_device_train_batch_size=32,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=arguments,
        train_dataset=rows,
        callbacks=[watch],
    )
    trainer.train()
    (noted,) = [entry for entry in trainer.state.log_history if "edgeopt/x_reference" in entry]
    assert noted["epoch"] == 1
    checked(noted)


def test_every_n_epochs_means_the_last_of_n() -> None:
    from edgeopt.callbacks import OnTarget

    watch = OnTarget(None, every=3)
    assert [epoch for epoch in range(9) if watch.due(epoch)] == [2, 5, 8]
    with pytest.raises(ValueError, match="from 1"):
        OnTarget(None, every=0)
