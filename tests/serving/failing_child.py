"""The trainer's child on a disk that fails: the fsync numbered by the variable FAILING_FSYNC ends with EIO."""

from __future__ import annotations

import errno
import os
import sys
from itertools import count

from service.serving import trainer_child

if __name__ == "__main__":
    real, calls, at = os.fsync, count(1), int(os.environ["FAILING_FSYNC"])

    def failing(descriptor: int) -> None:
        if next(calls) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    os.fsync = failing  # type: ignore[assignment]  # the store gives it descriptors only
    trainer_child.main(sys.stdin.buffer, sys.stdout.buffer)
