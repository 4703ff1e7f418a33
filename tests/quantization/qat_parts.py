"""What the tests of quantization share: shipped networks and data, small networks, runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODELS = Path(__file__).parents[2] / "models"
Module = Any
