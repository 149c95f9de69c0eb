"""What scikit-learn looks for by class, spoken without importing it: used only where it is loaded already."""

from __future__ import annotations

import importlib
import sys
import warnings


def _loaded(name: str) -> type | None:
    """A class of ``sklearn.exceptions`` when scikit-learn is in this process, else None."""
    module = sys.modules.get("sklearn.exceptions")
    return getattr(module, name, None)


class NotFittedError(ValueError, AttributeError):
    """The estimator was used before ``fit``."""


class ConvergenceWarning(UserWarning):
    """The solver stopped before the optimum was certified."""


class DataConversionWarning(UserWarning):
    """The data came in a form that had to be converted."""


def not_fitted(estimator: object) -> Exception:
    kind = _loaded("NotFittedError") or NotFittedError
    error = kind(f"this {type(estimator).__name__} is not fitted yet; call fit first")
    assert isinstance(error, Exception)
    return error


def warn_not_converged(message: str) -> None:
    warnings.warn(message, _loaded("ConvergenceWarning") or ConvergenceWarning, stacklevel=4)


def warn_column_vector() -> None:
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected; pass y.ravel()",
        _loaded("DataConversionWarning") or DataConversionWarning,
        stacklevel=4,
    )


def classifier_tags() -> object:
    """scikit-learn's description of a classifier of numeric rows, dense or sparse; only scikit-learn asks for it."""
    utils = importlib.import_module("sklearn.utils")
    return utils.Tags(
        estimator_type="classifier",
        target_tags=utils.TargetTags(required=True),
        classifier_tags=utils.ClassifierTags(),
        input_tags=utils.InputTags(sparse=True),
    )
