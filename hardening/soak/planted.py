"""A launcher that starts the service with a defect put in, so that the soak can show that it finds it.

``python -m hardening.soak.planted leak serve …`` keeps every body; ``fault`` makes one prediction in a thousand a 500.
"""

from __future__ import annotations

import functools
import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, TypeAlias

from service.cli.worker import Orders, work
from service.serving.processes import module_command

Method: TypeAlias = Callable[..., Any]
WAYS_IN = ("answer", "answer_at_once")
ONE_IN = 1000


def leaking(method: Method) -> Method:
    """The method, which keeps the body of each call."""
    kept: list[bytes] = []

    @functools.wraps(method)
    def keep(dialect: Any, call: Any) -> Any:
        kept.append(bytes(bytearray(call.body)))
        return method(dialect, call)

    return keep


def failing(method: Method) -> Method:
    """The method, of which one call in a thousand is answered with 500."""
    from service.web.errors import InternalError, problem_answer  # noqa: PLC0415 — not in the supervisor

    numbers = itertools.count(1)

    @functools.wraps(method)
    def fail(dialect: Any, call: Any) -> Any:
        if next(numbers) % ONE_IN == 0:
            return problem_answer(InternalError("planted"), call.request_id)
        return method(dialect, call)

    return fail


PLANTS: dict[str, Callable[[Method], Method]] = {"leak": leaking, "fault": failing}


def plant(name: str) -> None:
    """Put the defect into this process."""
    from service.web.dialects.native import NativeDialect  # noqa: PLC0415 — not in the supervisor

    for way in WAYS_IN:
        setattr(NativeDialect, way, PLANTS[name](getattr(NativeDialect, way)))


def main() -> None:
    """Start a worker, the supervisor of such workers, or a service that works alone."""
    name, *arguments = sys.argv[1:]
    if arguments[0] == "work":
        plant(name)
        work(Orders.parse(arguments[1]))
        return
    if arguments[arguments.index("--workers") + 1] == "1":
        plant(name)

    def command(orders: Orders) -> tuple[str, ...]:
        # The last word tells who looks at processes that this is a worker.
        return module_command(__spec__.name, name, "work", json.dumps(asdict(orders)), "service.cli.worker")

    setattr(Orders, "command", command)  # noqa: B010 — what mypy would not have assigned
    from service.cli.main import main as logitd  # noqa: PLC0415 — after the plant

    sys.argv[1:] = arguments
    logitd()


if __name__ == "__main__":
    main()
