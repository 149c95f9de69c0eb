"""A trainer's child that answers with the limits that it runs under."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.stdin.buffer.read()
    limits = {
        "niceness": os.nice(0),
        "policy": os.sched_getscheduler(0),
        "oom_score_adj": int(Path("/proc/self/oom_score_adj").read_text()),
        "autogroup": Path("/proc/self/autogroup").read_text().split("nice")[-1].strip(),
        "memory": resource.getrlimit(resource.RLIMIT_DATA),
        "blas_threads": os.environ["OPENBLAS_NUM_THREADS"],
        "leads_its_session": os.getsid(0) == os.getpid(),
    }
    sys.stdout.write(json.dumps({"answer": limits}))
