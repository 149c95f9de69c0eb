"""Many connections need many descriptors."""

from __future__ import annotations

import resource


def allow_many() -> int:
    """Raise the limit of this process, and of those that it starts, as far as that goes; returns the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
