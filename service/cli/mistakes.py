"""How errors become exit codes, and the one line that tells of them."""

from __future__ import annotations

import sys
import traceback

from service import errors
from service.errors import ServiceError

# How Python says that there is no memory for the stack of a thread.
NO_THREAD = "can't start new thread"
# Looked up along the class's ancestors.
EXIT_CODES: dict[type, int] = {
    errors.InvalidSettings: 2,
    errors.InvalidParameter: 2,
    errors.InvalidName: 2,
    errors.InvalidVersion: 2,
    errors.UnknownField: 2,
    errors.Unparseable: 3,
    errors.InvalidInput: 3,
    errors.NotFound: 4,
    errors.Conflict: 5,
    errors.PreconditionFailed: 5,
    errors.Integrity: 6,
    errors.NoLiveModel: 4,
    errors.Unavailable: 6,
    errors.SeparationError: 7,
    errors.Diverged: 7,
    MemoryError: 6,
    Exception: 1,
}


def told(error: Exception, *, debug: bool = False) -> int:
    """Tell of an error in one line on standard error; its exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        error = MemoryError()
    print(f"error: {sentence(error)}", file=sys.stderr)
    return exit_code(type(error))


def sentence(error: Exception) -> str:
    """What is said of an error."""
    if isinstance(error, ServiceError):
        return error.detail + (f" ({error.hint})" if error.hint else "")
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    return f"an unexpected {type(error).__name__}, which is a fault of logitd; --debug shows where"


def exit_code(kind: type[Exception]) -> int:
    """The exit code of an error class."""
    return next(EXIT_CODES[ancestor] for ancestor in kind.__mro__ if ancestor in EXIT_CODES)
