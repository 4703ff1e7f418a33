"""edgeopt's choice beside the best that each peer makes of the same network, in one race.

    python benchmarks/peers.py NETWORK FOLDER [--peers NAME ...] [--processes 15] [--kept 5]
    python benchmarks/peers.py summary FOLDER

NETWORK is fashion-mnist, efficientnet-lite0, minilm, imu or keras: a recipe of ``recipes/``, with
post-training passes alone. Each peer is run by ``peers/by_NAME.py`` in an environment of its own,
made from ``peers/NAME.txt`` in FOLDER and kept; it gets the FP32 export that edgeopt refers to, and
the same 512 calibration samples, or all there are. Every file is asked for its answers on up to
4,000 validation samples, and takes three processes against FP32 in ONNX Runtime, in each runtime
that reads it. The fastest five of each peer then go on to 15, three at a time, in turn, with the
reference against itself among them. Writes FOLDER/NETWORK/peers.json and prints the table. Leave
the machine alone meanwhile.

The fastest of many rows is fast by chance, too: the first three of the peers' rows then meet
edgeopt's choice directly, 15 new processes each, and so do the first three of those that agree with
the source as it does, to half a point.

``summary`` runs nothing: of every network that FOLDER has it prints the rows that count (each
peer's fastest, and its default in ONNX Runtime or LiteRT), and geometric means over networks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edgeopt
from edgeopt.agent.machine import facts
from edgeopt.bench.jobs import race_job, run_bench, score_job
from edgeopt.commands.model_files import fed, fed_with, opened, runnable
from edgeopt.commands.samples import samples_for
from edgeopt.engine import Engine
from edgeopt.pipeline.prepare import prepare
from edgeopt.planner.jobs import tensors_job
from edgeopt.recipe import load_recipe
from edgeopt.schema.artifact import Description
from edgeopt.schema.job import ArrayRef, Arrays, Outcome
from edgeopt.schema.target import Target, parse_target
from edgeopt.stats.ratios import geometric_interval
from edgeopt.store import Store

HERE = Path(__file__).resolve().parent
RUNTIMES = {".onnx": ("onnxruntime", "openvino"), ".tflite": ("litert",)}
EVERY = ("onnxruntime", "olive", "nncf", "neural_compressor", "ai_edge", "onnxsim", "aimet")
FEW = ("onnxruntime", "nncf", "ai_edge")
PEERS = {"fashion-mnist": EVERY, "efficientnet-lite0": EVERY, "minilm": EVERY, "imu": FEW,
         "keras": FEW}  # fmt: skip
FORMS: list[Any] = [
    {"one_of": ["export-onnx", "export-tflite"]},
    "simplify-onnx",
    {
        "one_of": [
            "none",
            {"quantize-int8": {"scheme": "auto"}},
            {"quantize-int8": {"engine": "nncf"}},
            "fp16",
        ]
    },
]
LOOK, TURN, SAMPLES, CALIBRATION = 3, 3, 4000, 512
FIRST, NEAR = 3, 0.005  # rows of peers that meet the choice directly; as near to the source as it
PYTHON = os.environ.get("PEERS_PYTHON", sys.executable)


class Row(NamedTuple):
    """A file in a runtime."""

    peer: str
    setting: str
    path: Path
    target: Target
    outcome: Outcome
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.peer}/{self.setting}/{self.target.runtime}"


def environment(peer: str, folder: Path) -> Path:
    """The Python of a peer's environment, made where it is missing. Raises CalledProcessError."""
    place, pins = folder / "peers" / peer, HERE / "peers" / f"{peer}.txt"
    python = place / "bin" / "python"
    if (place / ".ready").is_file() and (place / ".ready").read_text() == pins.read_text():
        return python
    subprocess.run([PYTHON, "-m", "venv", "--clear", str(place)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(pins)], check=True)
    (place / ".ready").write_text(pins.read_text())
    return python


def by_peer(peer: str, source: Path, data: Path, folder: Path) -> list[dict[str, Any]]:
    """What a peer made, or why it did not."""
    made = folder / peer
    made.mkdir(exist_ok=True)
    try:
        python = environment(peer, folder.parent)
    except subprocess.CalledProcessError as error:
        return [{"setting": "all", "failed": f"cannot be installed: {error}"}]
    log = made / "log"
    with log.open("w") as said:
        ran = subprocess.run(
            [str(python), str(HERE / "peers" / f"by_{peer}.py"), str(source), str(data), str(made)],
            stdout=subprocess.PIPE, stderr=said, text=True, cwd=made, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "2"},
        )  # fmt: skip
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"setting"')]
    return lines or [{"setting": "all", "failed": f"ended with {ran.returncode}, see {log}"}]


class Field:
    """The files of one network, and what is measured of them."""

    def __init__(self, network: str, folder: Path, store: Store, engine: Engine) -> None:
        self.network, self.folder, self.store, self.engine = network, folder, store, engine
        self.recipe = HERE.parent / "recipes" / f"{network}.yaml"
        self.outcomes: dict[str, Outcome] = {}
        self.failed: list[dict[str, Any]] = []
        self.index = 0

    def optimized(self) -> None:
        """edgeopt's own run, the files that it refers to, and the samples."""
        result = edgeopt.optimize(
            self.recipe, out=self.folder / "edgeopt", store=self.store, passes=FORMS,
            targets=["local/*"], on_event=_told,
        )  # fmt: skip
        (target,) = result.targets
        self.result, self.target = result, target
        chosen = target.candidate(target.chosen) if target.chosen else None
        self.chosen = self._file(chosen, "chosen") if chosen else None
        self.chosen_on = chosen.target if chosen else ""
        self.label = chosen.label if chosen else "nothing"
        float_labels = ("export-onnx", "source", "export-tflite")
        floats = {c.artifact.format: c for c in target.candidates
                  if c.artifact and c.label.split(": ")[-1] in float_labels}  # fmt: skip
        self.sources = {name: self._file(c, f"float-{name}") for name, c in floats.items()}
        self._samples()

    def _file(self, candidate: Any, name: str) -> Path:
        place = self.store.checkout(candidate.artifact, self.folder / name)
        return place / ("model." + candidate.artifact.format)

    def _samples(self) -> None:
        """Archives for the peers, and validation samples and labels for the scores."""
        asked = load_recipe(self.recipe)
        known, outcomes = prepare(asked, self.engine)
        self.data: dict[str, Path] = {}
        for fmt, path in self.sources.items():
            found = self.opened(path)
            d = Description.model_validate(found.value["description"])
            for split, most in (("calibration", CALIBRATION), ("validation", SAMPLES)):
                job = tensors_job(asked, known, split, d, found.job)
                ended = self.engine.run([job], {**outcomes, **self.outcomes})[job.id]
                arrays = Arrays.model_validate(ended.value).arrays
                file = self.folder / f"{split}-{fmt}.npz"
                np.savez(file, **{n: self.store.get_array(r)[:most] for n, r in arrays.items()})
                self.data[f"{split}-{fmt}"] = file
        labels = known.raw["validation"].labels
        self.labels = {n: self.store.get_array(ref)[:SAMPLES] for n, ref in labels.items()}

    def opened(self, path: Path) -> Outcome:
        """A model file as the engine knows it. Raises ModelError."""
        self.index += 1
        found = opened(self.engine, path, self.index)
        self.outcomes[found.job] = found
        return found

    def rows(self, peer: str, made: Iterable[dict[str, Any]], only: str = "") -> list[Row]:
        """A row for each file and runtime, with its samples; what fails is noted."""
        found = []
        for each in made:
            told = {"peer": peer, "setting": each["setting"]}
            if "failed" in each:
                self.failed.append({**told, "why": each["failed"]})
                continue
            path = Path(each["file"])
            try:
                outcome = self.opened(path)
                self._feed(path, outcome)
            except edgeopt.EdgeoptError as error:
                self.failed.append({**told, "why": str(error)})
                continue
            for runtime in RUNTIMES[path.suffix]:
                target = parse_target(only or f"local/{runtime}")
                found.append(Row(peer, each["setting"], path, target, outcome, each["seconds"]))
                if only:
                    break
        return found

    def _feed(self, path: Path, outcome: Outcome) -> None:
        fmt = path.suffix[1:]
        source = self.sources[fmt]
        first = Description.model_validate(self.opened(source).value["description"])
        d = Description.model_validate(outcome.value["description"])
        raw = samples_for(first, self.data[f"validation-{fmt}"], self.store)
        ready = fed_with(outcome, fed(path, source, raw, first.signature, d, self.store))
        self.outcomes[ready.job] = ready

    def scored(self, row: Row) -> dict[str, np.ndarray]:
        """Its outputs by name. Raises EdgeoptError."""
        job = score_job(f"score:{row.name}", runnable(row.outcome, row.target))
        ended = self.engine.run([job], self.outcomes)[job.id]
        if not ended.ok:
            raise edgeopt.EdgeoptError(str((ended.error or {}).get("what")))
        refs = {n: ArrayRef.model_validate(r) for n, r in ended.value["outputs"].items()}
        return {name: self.store.get_array(ref) for name, ref in refs.items()}

    def raced(
        self, row: Row, reference: Row, processes: int, before: str
    ) -> tuple[str, list[float]]:
        """The job of its race and the ratio of each of so many processes. Raises EdgeoptError."""
        job = race_job(
            f"race:{row.name}:{reference.name}:{processes}", runnable(row.outcome, row.target),
            runnable(reference.outcome, reference.target), "short",
            processes=processes, earlier=before,
        )  # fmt: skip
        ended = self.engine.run([job], self.outcomes)[job.id]
        if not ended.ok:
            raise edgeopt.EdgeoptError(str((ended.error or {}).get("what")))
        self.outcomes[job.id] = ended
        taken = json.loads(self.store.get_bytes(ended.digest))["processes"]
        return job.id, [ratio_of(each) for each in taken]


def ratio_of(process: Any) -> float:
    """a over b of one process."""
    from edgeopt.bench.runs import Run

    return Run.from_json(process).ratio(50.0)


def agreement(found: dict[str, np.ndarray], source: dict[str, np.ndarray]) -> float:
    """Share of equal arg maxes of the first output; of embeddings, the mean cosine."""
    (_, a), (_, b) = next(iter(found.items())), next(iter(source.items()))
    n = min(len(a), len(b))
    a, b = a[:n].reshape(n, -1), b[:n].reshape(n, -1)
    if a.shape[1] > 100 and a.shape[1] != 1000:
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return float(((a * b).sum(axis=1) / norms).mean())
    return float((a.argmax(axis=1) == b.argmax(axis=1)).mean())


def _told(event: Any) -> None:
    if event.what == "note":
        print(event.text, file=sys.stderr, flush=True)


def measured(field: Field, peers: Iterable[str], processes: int, kept: int) -> dict[str, Any]:
    """All rows, raced and scored."""
    field.optimized()
    told = [{"setting": "float", "file": str(p), "seconds": 0.0} for p in field.sources.values()]
    rows = field.rows("source", told)
    reference = rows[0]
    if field.chosen is not None:
        mine = [{"setting": "chosen", "file": str(field.chosen), "seconds": field.result.seconds}]
        rows += field.rows("edgeopt", mine, field.chosen_on)
    for peer in peers:
        fmt = "tflite" if peer == "ai_edge" else "onnx"
        made = by_peer(peer, field.sources[fmt], field.data[f"calibration-{fmt}"], field.folder)
        rows += field.rows(peer, made)
        print(
            f"{peer}: {[(e['setting'], e.get('failed', 'made')[:100]) for e in made]}", flush=True
        )
    source = field.scored(reference)
    figures: dict[str, dict[str, Any]] = {}
    races: dict[str, str] = {}
    for row in rows:
        try:
            near = agreement(field.scored(row), source)
            races[row.name], ratios = field.raced(row, reference, LOOK, "")
        except edgeopt.EdgeoptError as error:
            field.failed.append({"peer": row.peer, "setting": row.name, "why": str(error)})
            continue
        figures[row.name] = {"peer": row.peer, "agreement": near, "ratios": ratios,
                             "size": _size(row.path), "seconds": row.seconds}  # fmt: skip
        print(f"{row.name}: {geometric_interval(ratios).value:.3f}x, {near:.4f}", flush=True)
    going = list(_fastest(rows, figures, kept))
    for count in range(LOOK + TURN, processes + 1, TURN):
        for row in going:
            races[row.name], ratios = field.raced(row, reference, count, races[row.name])
            figures[row.name]["ratios"] = ratios
    found = {"rows": figures, "failed": field.failed, "chosen": field.label}
    mine = next((row for row in rows if row.peer == "edgeopt" and row.name in figures), None)
    theirs = [row for row in going if row.peer not in ("source", "edgeopt")]
    theirs.sort(key=lambda r: geometric_interval(figures[r.name]["ratios"]).value)
    found["direct"] = {}
    if mine is not None:
        least = figures[mine.name]["agreement"] - NEAR
        near = [row for row in theirs if figures[row.name]["agreement"] >= least]
        for name, row in {row.name: row for row in (*theirs[:FIRST], *near[:FIRST])}.items():
            found["direct"][name] = field.raced(mine, row, processes, "")[1]
    return found


def _size(path: Path) -> int:
    """Of a file, with those that hold its weights beside it."""
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))


def _fastest(rows: list[Row], figures: dict[str, Any], kept: int) -> Iterable[Row]:
    by_peer: dict[str, list[Row]] = {}
    for row in rows:
        if row.name in figures:
            by_peer.setdefault(row.peer, []).append(row)
    for peer, mine in by_peer.items():
        fast = sorted(mine, key=lambda r: geometric_interval(figures[r.name]["ratios"]).value)
        yield from mine if peer in ("source", "edgeopt") else fast[:kept]


def table(kept: dict[str, Any]) -> list[str]:
    """Rows by ratio, fastest first, as Markdown."""
    lines = ["| file | p50 / FP32 | processes | agreement | size, kB | seconds to make |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    found = []
    for name, row in kept["rows"].items():
        ratio = geometric_interval(row["ratios"])
        spread = f"{ratio.value:.3f}x ({ratio.low:.3f} to {ratio.high:.3f}x)"
        size, took = f"{row['size'] / 1e3:.0f}", f"{row['seconds']:.1f}"
        cells = (name, spread, len(row["ratios"]), f"{row['agreement']:.4f}", size, took)
        found.append((ratio.value, f"| {' | '.join(map(str, cells))} |"))
    return [*lines, *(line for _, line in sorted(found))]


def _value(kept: dict[str, Any], name: str) -> float:
    return geometric_interval(kept["rows"][name]["ratios"]).value


def _default(kept: dict[str, Any], peer: str) -> str | None:
    """Its default, in the runtime that it is made for."""
    names = (f"{peer}/default/onnxruntime", f"{peer}/default/litert")
    return next((name for name in names if name in kept["rows"]), None)


def _best(kept: dict[str, Any], peer: str) -> str | None:
    """Its fastest, of those that went on to all processes."""
    rows = kept["rows"].items()
    mine = [name for name, row in rows if row["peer"] == peer and len(row["ratios"]) > LOOK]
    return min(mine, key=lambda name: _value(kept, name), default=None)


def summary(folder: Path) -> None:
    """Print what stands in the results of a folder."""
    against: dict[str, list[float]] = {}
    for network in PEERS:
        file = folder / network / "peers.json"
        if not file.is_file():
            continue
        kept = json.loads(file.read_text())
        (mine,) = (name for name, row in kept["rows"].items() if row["peer"] == "edgeopt")
        peers = dict.fromkeys(row["peer"] for row in kept["rows"].values())
        shown = [mine, "source/float/onnxruntime"]
        for peer in peers:
            if peer not in ("edgeopt", "source"):
                shown += [n for n in (_best(kept, peer), _default(kept, peer)) if n]
                if default := _default(kept, peer):
                    ratio = _value(kept, mine) / _value(kept, default)
                    against.setdefault(f"{peer}'s default", []).append(ratio)
        print(f"\n{network}: {kept['cpu']}, {kept['isa']}; edgeopt chose {kept['chosen']}\n")
        rows = {name: kept["rows"][name] for name in dict.fromkeys(shown) if name in kept["rows"]}
        print("\n".join(table({"rows": rows})))
        first = geometric_interval(next(iter(kept["direct"].values())))
        against.setdefault("the fastest peer, directly", []).append(first.value)
        for name, ratios in kept["direct"].items():
            found = geometric_interval(ratios)
            print(f"edgeopt over {name}, directly: {found.value:.3f}x "
                  f"({found.low:.3f} to {found.high:.3f}x)")  # fmt: skip
    print("\n| edgeopt over | geometric mean | networks |\n| --- | ---: | ---: |")
    for name, ratios in against.items():
        print(f"| {name} | {geometric_interval(ratios).value:.3f}x | {len(ratios)} |")


def main() -> None:
    """Make, score and race all; keep and print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("network", choices=[*PEERS, "summary"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", nargs="*")
    parser.add_argument("--processes", type=int, default=15)
    parser.add_argument("--kept", type=int, default=5)
    asked = parser.parse_args()
    if asked.network == "summary":
        summary(asked.folder)
        return
    folder = (asked.folder / asked.network).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with Store.default() as store, Engine(store, on_event=_told, bench=run_bench) as engine:
        field = Field(asked.network, folder, store, engine)
        peers = PEERS[asked.network] if asked.peers is None else asked.peers
        found = measured(field, peers, asked.processes, asked.kept)
    machine = facts()
    found |= {"network": asked.network, "cpu": machine["cpu"], "isa": machine["isa"]}
    (folder / "peers.json").write_text(json.dumps(found, indent=1))
    print(f"\n{asked.network}: {found['cpu']}, {found['isa']}; edgeopt chose {found['chosen']}\n")
    print("\n".join(table(found)))
    for name, ratios in found["direct"].items():
        ratio = geometric_interval(ratios)
        print(f"edgeopt / {name}: {ratio.value:.3f}x ({ratio.low:.3f} to {ratio.high:.3f}x)")
    for each in found["failed"]:
        print(f"failed: {each['peer']} {each['setting']}: {each['why'][:200]}")


if __name__ == "__main__":
    main()
