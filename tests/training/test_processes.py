"""Two processes on one machine, joined by accelerate, that share each batch."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_parts import trained

from edgeopt.schema.errors import PassError
from edgeopt.training import TrainingSettings

SETTINGS = "TrainingSettings(steps=12, batch=32, lr=0.05, ema=0.9, checkpoint_every=5, shift=1)"
SCRIPT = f"""
import sys
from pathlib import Path

sys.path.insert(0, {str(Path(__file__).parent)!r})
from accelerate import Accelerator
from training_parts import sha256, trained

from edgeopt.training import TrainingSettings

accelerator = Accelerator(cpu=True)
module, fitted = trained(
    {SETTINGS}, accelerator=accelerator, checkpoints=Path(sys.argv[1]), validate=None
)
sys.stdout.write(
    f"process {{accelerator.process_index}} of {{accelerator.num_processes}} ended with "
    f"{{sha256(module)}} from {{fitted.resumed_from}} loss {{fitted.history[-1]['loss']:.4f}}\\n"
)
"""


def launched(folder: Path, checkpoints: Path) -> list[tuple[str, ...]]:
    script = folder / "shared.py"
    script.write_text(SCRIPT)
    checkpoints.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node",
               "2"]  # fmt: skip
    done = subprocess.run(
        [*command, str(script), str(checkpoints)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    pattern = r"process (\d) of (\d) ended with (\w+) from (\d+) loss ([\d.]+)"
    return sorted(re.findall(pattern, done.stdout))


@pytest.mark.long
def test_two_processes_end_with_the_same_weights_and_go_on(tmp_path: Path) -> None:
    first = launched(tmp_path, tmp_path / "checkpoints")
    assert [each[:2] for each in first] == [("0", "2"), ("1", "2")]
    assert first[0][2] == first[1][2], "both hold the same weights"
    again = launched(tmp_path, tmp_path / "checkpoints")
    assert [each[3] for each in again] == ["12", "12"]
    assert again[0][2] == first[0][2]
    settings = eval(SETTINGS, {"TrainingSettings": TrainingSettings})
    _, alone = trained(settings, validate=None)
    assert abs(float(first[0][4]) - alone.history[-1]["loss"]) < 0.5


def test_a_batch_that_processes_cannot_share_is_refused() -> None:
    class TwoProcesses:
        device, process_index, num_processes = torch.device("cpu"), 0, 2

    with pytest.raises(PassError, match="2 processes cannot share a batch of 33"):
        trained(TrainingSettings(steps=1, batch=33), accelerator=TwoProcesses(), validate=None)
