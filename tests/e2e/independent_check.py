"""Check `make demo` with code that shares nothing with it: independent_check.py OUT [--times].

Files and accuracies must agree to the last sample. The times of a race of its own are printed; with
--times, on a machine that does nothing else, straight after the demo, the two intervals may lie
no more than 3% apart, which is what a race resolves.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

MODELS = Path(__file__).resolve().parents[2] / "models" / "fashion_mnist"


def model(path, runtime, batch=-1):  # from (n, 1, 28, 28) images to (n, 10) scores, one thread
    if runtime == "onnxruntime":
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        return lambda images: session.run(None, {"image": images})[0]
    if runtime == "openvino":
        import openvino

        wanted = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        wanted |= {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        core = openvino.Core()
        read = core.read_model(str(path))
        read.reshape({"image": [batch, 1, 28, 28]})  # a free batch takes longer than a fixed one
        request = core.compile_model(read, "CPU", wanted).create_infer_request()
        return lambda images: np.array(request.infer({"image": images}, share_inputs=True)[0])
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(str(path), num_threads=1)
    made.allocate_tensors()
    taken, given = made.get_input_details()[0]["index"], made.get_output_details()[0]["index"]

    def one(image):
        made.set_tensor(taken, image.transpose(0, 2, 3, 1))
        made.invoke()
        return made.get_tensor(given)

    return lambda images: np.concatenate([one(image[None]) for image in images])


def split(name):
    with np.load(MODELS / "fashion_mnist.npz", allow_pickle=False) as data:
        images = (data[f"{name}.images"][:, None].astype(np.float32) / 255 - 0.286) / 0.353
        return images, data[f"{name}.label"]


def accuracy(path, runtime, name):
    (images, labels), run = split(name), model(path, runtime)
    parts = [run(np.ascontiguousarray(part)) for part in np.array_split(images, 100)]
    return float((np.concatenate(parts).argmax(1) == labels).mean())


def race(files):  # median times, FP32 first; each turn is one untimed and 20 timed runs of each
    images = split("validation")[0][:64]
    models = [model(MODELS / "source.onnx", "onnxruntime", 1)]
    models += [model(path, runtime, 1) for path, runtime in files]
    times = [[] for _ in models]
    for turn in range(60):
        for run, kept in zip(models, times, strict=True):
            for i in range(21):
                image = images[(turn * 20 + i) % 64][None]
                start = time.perf_counter_ns()
                run(image)
                kept.extend([time.perf_counter_ns() - start] if i and turn >= 5 else [])
    return [float(np.median(kept)) for kept in times]


def interval(logs):  # of a ratio: Student's t over five processes, four degrees of freedom, 95%
    half = 2.776 * np.std(logs, ddof=1) / 5**0.5
    return (float(np.exp(np.mean(logs) + half * side)) for side in (-1, 0, 1))


if sys.argv[1] == "--race":
    print(json.dumps(race(list(zip(sys.argv[2::2], sys.argv[3::2], strict=True)))))
    sys.exit()
out = Path(sys.argv[1])
target = json.loads((out / "result.json").read_text())["targets"][0]
(winner,) = [c for c in target["candidates"] if c["id"] == target["chosen"]]
gaps = []  # between the intervals of a time here and as stated


def compared(reference, low, high, stated):
    line = f"  time against {reference}: {low:.3f} to {high:.3f}x"
    if stated is None:
        return print(f"{line}, not raced against each other in the demo")
    a, b = stated["low"], stated["high"]
    gaps.append(max(low / b, a / high) - 1)  # what lies between the two intervals
    agree = "they overlap" if gaps[-1] <= 0 else f"{gaps[-1]:.1%} apart"
    agree += "" if gaps[-1] <= 0.03 else ": was the machine busy?"
    print(f"{line}, stated {a:.3f} to {b:.3f}x: {agree}")
    return gaps[-1]


others = [c for c in target["candidates"] if c["path"] and c is not winner]
assert {"onnxruntime", "openvino", "litert"} == {
    c["target"].rpartition("/")[2] for c in [winner, *others]
}, "the files of each runtime's best are written"
print(
    f"The files of the best in each runtime in {out}, again, by other code: their accuracy, and\n"
    "their time against models/fashion_mnist/source.onnx, the same network and weights in float32\n"
    "as they were exported when it was trained, in ONNX Runtime: all files in turn in each of\n"
    "five processes (95% interval), one image at a time on one thread, each runtime opened as\n"
    "the demo says (run with). On a quiet machine the intervals of two such races overlap or\n"
    "lie no more than 3% apart, as a race is precise to 3% to each side; so far apart, they\n"
    "agree. Of files that the demo calls a tie or not proven, either may be the faster in another\n"
    "race: they are too near to each other for the order to hold from one minute to the next."
)
files = [(c, out / c["path"], c["target"].rpartition("/")[2]) for c in [winner, *others]]
command = [
    sys.executable,
    __file__,
    "--race",
    *(x for _, path, name in files for x in (path, name)),
]
turns = [json.loads(subprocess.check_output(command)) for _ in range(5)]
(fp32, *ours) = np.log(turns).T
for logs, (candidate, path, runtime) in zip(ours, files, strict=True):
    stated = candidate["measurements"]
    print(f"{runtime}: {candidate['label']} ({'chosen' if candidate is winner else 'best there'})")
    for name in ("validation", "test") if candidate is winner else ("validation",):
        said = (stated if name == "validation" else target["test"]["measurements"])["accuracy"]
        found = accuracy(path, runtime, name)
        assert found == said["value"], f"{name}: accuracy is {found}, stated is {said['value']}"
        print(f"  {name}: accuracy {found}, as stated to the last sample")
    low, middle, high = interval(logs - fp32)
    apart = compared("FP32", low, high, stated["ratio.latency.p50"])
    if candidate is not winner:
        low, _, high = interval(logs - ours[0])
        compared("the chosen file", low, high, candidate["against_chosen"])
    elif "--times" in sys.argv:
        assert apart <= 0.03, "they are further apart than a race resolves: is the machine quiet?"
        vnni = {"avx512_vnni", "avx_vnni"} & set(Path("/proc/cpuinfo").read_text().split())
        assert (middle <= 1 / 1.3) if vnni else (low <= 1.0), "slower than it must be"
far = sum(gap > 0.03 for gap in gaps)
print("All files and accuracies are as stated.")
print(
    f"{far} of {len(gaps)} intervals of times lie more than 3% apart; only --times fails for that."
    if far
    else "All intervals of times overlap or lie no more than 3% apart."
)
