"""The service with a fault put in on purpose: ``python faulty_service.py FAULT serve …``."""

from __future__ import annotations

import sys
from typing import Any

from service.cli.main import main
from service.web.dialects.native import NativeDialect

LEAK_BYTES = 64 * 1024
kept: list[bytearray] = []
good = NativeDialect._predict


def defect(self: NativeDialect, asks: Any, *rest: Any) -> Any:
    """CSV is a defect."""
    if asks.is_csv:
        raise RuntimeError("put in on purpose")
    return good(self, asks, *rest)


def leak(self: NativeDialect, asks: Any, *rest: Any) -> Any:
    """CSV takes memory for good."""
    if asks.is_csv:
        kept.append(bytearray(b"x" * LEAK_BYTES))
    return good(self, asks, *rest)


if __name__ == "__main__":
    faults: dict[str, Any] = {"defect": defect, "leak": leak}
    NativeDialect._predict = faults[sys.argv.pop(1)]  # type: ignore[method-assign]  # that is the fault
    main()
