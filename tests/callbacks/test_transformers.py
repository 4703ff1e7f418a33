"""Figures on the target in the log history of Transformers' Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.extras

SHORT = {"passes": ["export-onnx", {"one_of": ["none", {"quantize-int8": {"scheme": "auto"}}]}]}
SAMPLES = 96


@pytest.mark.long
def test_transformers_notes_the_target_in_its_history(tmp_path: Path, checked: Any) -> None:
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
