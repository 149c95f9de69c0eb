"""A trainer's child with a defect, whose words hold a label, after a warning that holds another."""

from __future__ import annotations

import sys
import warnings

from service.serving import trainer_child


def fail(_job: object, body: bytes) -> dict[str, object]:
    warnings.warn(body.decode(), RuntimeWarning, stacklevel=1)
    raise LookupError(body.decode())


if __name__ == "__main__":
    trainer_child.run = fail  # type: ignore[assignment]  # in this process only
    trainer_child.main(sys.stdin.buffer, sys.stdout.buffer)
