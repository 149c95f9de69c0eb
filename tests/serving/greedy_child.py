"""A trainer's child that wants too much: memory in Python, a native library's buffers, or one more thread."""

from __future__ import annotations

import os
import sys

from service.serving import trainer_child


def allocate(_job: object, body: bytes) -> dict[str, object]:
    if b"native" in body:
        sys.stderr.write("OpenBLAS error: Memory allocation still failed after 10 retries, giving up.\n")
        sys.stderr.flush()
        os._exit(1)
    if b"thread" in body:
        raise RuntimeError("can't start new thread")
    hoard = []
    while True:
        hoard.append(bytearray(1 << 24))


if __name__ == "__main__":
    trainer_child.run = allocate  # type: ignore[assignment]  # in this process only
    trainer_child.main(sys.stdin.buffer, sys.stdout.buffer)
