"""The trainer's child where no file may grow: what a full disk does to it, without filling one."""

from __future__ import annotations

import resource
import sys

from service.serving.trainer_child import main

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    main(sys.stdin.buffer, sys.stdout.buffer)
