"""What workers do with files of the format."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgeopt.formats import Runner
from edgeopt.formats.torch import archive, code, edits, module, program, weights
from edgeopt.formats.torch.declared import TorchDeclared
from edgeopt.formats.torch.readings import first_that_runs
from edgeopt.formats.torch.sources import factory_of, program_file, source_files
from edgeopt.models.kind import by_names
from edgeopt.models.layout import image_layout
from edgeopt.schema.artifact import BATCH, Description, Inspection, Signature, Tensor
from edgeopt.schema.conversion import Conversion
from edgeopt.schema.errors import ModelError

MODEL, WEIGHTS, CODE = "model.json", "weights.safetensors", "code"
PROGRAM = "program.pt2"


class TorchFormat(TorchDeclared):
    """PyTorch modules as factory, source files and safetensors, or as exported programs.

    No pickle is ever run.
    """

    def gather(
        self,
        spec: Mapping[str, Any],
        root: Path,
        into: Path,
        samples: Mapping[str, Mapping[str, Any]],
    ) -> Mapping[str, str]:
        """Copy the code, build the module, fit the weights, try it on the samples, write it all."""
        if spec.get("path"):
            self._gather_program(program_file(root / spec["path"]), into)
            return {}
        file, name = factory_of(spec)
        for key, path in source_files(spec, root).items():
            if key.startswith(f"{CODE}/"):
                (into / key).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, into / key)
        where = str(root / file)
        network = _module(code.build(into / CODE, file, name, root), where)
        if spec.get("weights"):
            path = root / spec["weights"]
            weights.fit(network, weights.read_state(path), str(path))
        _refuse_other_floats(network, where)
        order = module.check_inputs(network, list(samples), where)
        reading = first_that_runs(network, {name: samples[name] for name in order}, where)
        weights.write_state(network, into / WEIGHTS)
        said = {"factory": spec["factory"], "inputs": reading.inputs, "outputs": reading.outputs}
        (into / MODEL).write_text(json.dumps(said, indent=1) + "\n")
        return reading.also

    def _gather_program(self, path: Path, into: Path) -> None:
        """Copy an exported program without what could run code, and run it once."""
        archive.copy_program(path, into / PROGRAM)
        exported = program.exported(into / PROGRAM)
        network = program.Program(exported, str(path))
        inputs = program.described(exported, str(path))
        _refuse_other_floats(network, str(path))
        free = {str(n) for i in inputs.values() for n in i["shape"] if isinstance(n, str)}
        if free - {"batch"}:
            shapes = ", ".join(f"'{name}' {i['shape']}" for name, i in inputs.items())
            raise ModelError(f"sizes other than the batch are free: {shapes}", where=str(path))
        outputs = module.run(network, module.example(inputs, 2), str(path))
        positional = len(network.positional)
        said = {"program": PROGRAM, "positional": positional, "inputs": inputs}
        (into / MODEL).write_text(json.dumps({**said, "outputs": list(outputs)}, indent=1) + "\n")

    def describe(self, folder: Path) -> Description:
        """Inputs as recorded, outputs as two runs with 2 and 3 samples show them.

        Where the batch is fixed, as one run with that many shows them.
        """
        said, network, where = self._read(folder), self.load(folder), str(folder / MODEL)
        two, three = (
            module.run(network, module.example(said["inputs"], batch), where) for batch in (2, 3)
        )
        inputs = tuple(
            Tensor(name=name, dtype=i["dtype"], shape=tuple(i["shape"]), layout=i["layout"])
            for name, i in said["inputs"].items()
        )
        first = all(tensor.batch_axis == 0 for tensor in inputs)
        outputs = tuple(_output(name, two[name], three[name], first) for name in two)
        signature = Signature(inputs=inputs, outputs=outputs)
        facts = {"float32"} | (set() if signature.dynamic_batch else {"static-batch"})
        for record in edits.read(folder):
            if record["edit"] == "fake-quantize":
                facts |= {"fake-quantized", f"qat-{record['scheme']}"}
        held = (
            (f"{path}.{type(part).__name__}.{name}", each.shape)
            for path, part in network.named_modules()
            for name, each in part.named_parameters(recurse=False)
        )
        return Description(
            format="torch", signature=signature, facts=frozenset(facts), kind=by_names(held)
        )

    def load(self, folder: Path) -> Any:
        """The module with its edits and weights, in evaluation mode."""
        said = self._read(folder)
        if "program" in said:
            return program.load(folder / PROGRAM)
        file, name = factory_of(said)
        made = _module(code.build(folder / CODE, file, name), file)
        edits.replay(made, edits.read(folder), str(folder / edits.EDITS))
        weights.fit(made, weights.read_state(folder / WEIGHTS), str(folder / WEIGHTS))
        return made

    def save(self, model: Any, folder: Path) -> None:
        """Copy an artifact's folder. Raises ModelError for a live module: it has no code."""
        if not isinstance(model, Path):
            raise ModelError(
                "a live module cannot be saved without its factory",
                where=str(folder),
                hint="Give a folder that the torch format wrote.",
            )
        shutil.copytree(model, folder, dirs_exist_ok=True)

    def runner(self, folder: Path, threads: int = 1) -> Runner:
        """The module, eager, on the CPU."""
        network = self.load(folder)

        def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            try:
                return module.run(network, feeds, str(folder / MODEL))
            finally:
                torch.set_num_threads(before)

        return run

    def inspect(self, folder: Path) -> Inspection:
        """Figures of the module; MACs are half of what torch's own FLOP counter counts."""
        said, network = self._read(folder), self.load(folder)
        one = module.example(said["inputs"], 1)
        module.run(network, one, str(folder / MODEL))  # raises what is told in words
        leaves = (type(m).__name__ for m in network.modules() if not list(m.children()))
        return Inspection(
            format="torch",
            description=self.describe(folder),
            parameters=sum(p.numel() for p in network.parameters()),
            macs=module.macs(network, {name: torch.from_numpy(x) for name, x in one.items()}),
            operators=dict(Counter(leaves).most_common()),
            size_bytes=sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()),
        )

    def conversion(
        self,
        folder: Path,
        runtime: str = "",
        feeds: Mapping[str, np.ndarray] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> Conversion | None:
        """None: a module computes in float32, also where its values lie on integer grids."""
        return None

    def _read(self, folder: Path) -> dict[str, Any]:
        try:
            said: dict[str, Any] = json.loads((folder / MODEL).read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"not a torch artifact: {error}", where=str(folder / MODEL)) from error
        return said


def _module(made: Any, where: str) -> Any:
    if not isinstance(made, nn.Module):
        raise ModelError(
            f"the factory returns a {type(made).__name__}, not a torch.nn.Module", where=where
        )
    return made.eval()


def _refuse_other_floats(made: Any, where: str) -> None:
    for name, value in made.state_dict().items():
        if value.is_floating_point() and value.dtype != torch.float32:
            raise ModelError(
                f"'{name}' is {str(value.dtype).removeprefix('torch.')}; a source must be float32",
                where=where,
                hint="Let the factory return module.float().",
            )


def _output(name: str, two: np.ndarray, three: np.ndarray, first: bool) -> Tensor:
    """An output by its shapes for 2 and 3 samples: the axis that grows is the batch.

    ``first``: whether the inputs have theirs first, so that nothing else is a batch.
    """
    grown = [axis for axis, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b]
    batch = 0 if first or 0 in grown else min(grown, default=0)
    shape = [
        (n if axis not in grown else BATCH if axis == batch else f"{name}.{axis}")
        for axis, n in enumerate(two.shape)
    ]
    return Tensor(name=name, dtype=str(two.dtype), shape=tuple(shape), layout=image_layout(shape))


FORMAT = TorchFormat()
