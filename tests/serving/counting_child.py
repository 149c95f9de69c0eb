"""A worker that counts and then waits until it is killed; ``python counting_child.py DIRECTORY TALLY TIMES``.

After each count it adds a byte to the file TALLY, which so holds as many bytes as it counted, or one less.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from service.serving.metrics import Metrics

# Leaves the processor to the scrapes that the test is about.
PAUSE_S = 1e-4


def main(directory: str, tally: str, times: str) -> None:
    metrics = Metrics.open(Path(directory), version="1")
    count_row = metrics.one_row("POST", "/predict", 200, "abc", 1)
    metrics.started()
    descriptor = os.open(tally, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    n_counted = 0
    while n_counted < float(times):  # "inf" is one
        metrics.answered("GET", "/models", 200, 1e-3)
        count_row(1e-5, 2e-6, 1e-6, 1e-6, 0.75)
        os.write(descriptor, b".")
        n_counted += 1
        time.sleep(PAUSE_S)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
