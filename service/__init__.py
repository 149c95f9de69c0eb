"""logitd: train a logistic regression, with a proof of its optimum, and serve it over HTTP."""

from __future__ import annotations

# As ``typing`` has it, which takes longer to import than ``logitd --version`` to answer.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from service.linear.estimator import LogisticRegression

__all__ = ["LogisticRegression", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    # NumPy is imported when the estimator is asked for, not before: ``logitd health`` runs every few seconds.
    if name == "LogisticRegression":
        from service.linear.estimator import LogisticRegression  # noqa: PLC0415 — the reason is above

        return LogisticRegression
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
