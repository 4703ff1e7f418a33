"""A bare ONNX Runtime loop in a process of its own: numpy, the runtime and a clock.

    python benchmarks/bare_loop.py MODEL.onnx SAMPLES.npy

Each line of standard input is a number of inferences. They run single and on one thread, over
the samples in rotation, after one that is not timed; a JSON list of their nanoseconds answers.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import onnxruntime


def main() -> None:
    """Load, then answer until standard input ends."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    feeds = [{name: sample[None].copy()} for sample in np.load(sys.argv[2])]
    at, run, clock = 0, session.run, time.perf_counter_ns
    for line in sys.stdin:
        run(None, feeds[at % len(feeds)])
        taken = []
        for _ in range(int(line)):
            feed = feeds[at % len(feeds)]
            start = clock()
            run(None, feed)
            taken.append(clock() - start)
            at += 1
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
