"""The entry point ``logitd``: quick commands first, then the full command line; errors become one line and a code."""

from __future__ import annotations

import os
import sys

import service


def main() -> None:
    """Run ``logitd`` with this process's arguments and environment; exits with the documented code."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"logitd {service.__version__}")
        sys.exit(0)
    if arguments[:1] == ["health"] and "--help" not in arguments:
        from service.cli.health import health  # noqa: PLC0415 — quick: nothing heavy is imported before this

        sys.exit(health(arguments[1:], os.environ))
    from service.cli.app import run  # noqa: PLC0415 — heavy, and not needed by the commands above

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
