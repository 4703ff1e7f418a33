"""Figures on the target in the middle of Lightning's loop, which goes on as if nothing was."""

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


@pytest.mark.long
def test_lightning_logs_the_target_and_trains_to_the_same_bits(
    tmp_path: Path, checked: Any
) -> None:
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


def test_only_the_first_process_measures_and_only_when_it_is_time() -> None:
    from edgeopt.callbacks.lightning import OnTargetCallback

    class Trainer:
        current_epoch, is_global_zero = 0, True

    watch, trainer = OnTargetCallback(None, every=2), Trainer()
    watch.measured = lambda module: {"edgeopt/size_bytes": float(len(module.logged))}  # type: ignore

    class Module:
        logged: list[dict[str, float]] = []

        def log_dict(self, found: dict[str, float], **_how: bool) -> None:
            self.logged.append(found)

    module = Module()
    for epoch, first in ((0, True), (1, False), (1, True)):
        trainer.current_epoch, trainer.is_global_zero = epoch, first
        watch.on_train_epoch_end(trainer, module)
    assert module.logged == [{"edgeopt/size_bytes": 0.0}]
