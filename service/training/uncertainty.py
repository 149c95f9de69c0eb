"""How sure the coefficients of a fit to standardised columns are, on the raw columns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.linear.estimator import LogisticRegression
from service.linear.scaling import Scaling
from service.linear.solver import Status


def raw_covariance(estimator: LogisticRegression, scaling: Scaling) -> npt.NDArray[np.float64] | None:
    """Covariance of the raw coefficients, the intercept last of each logit, (k (p + 1), k (p + 1)).

    None away from the optimum, and where a variance leaves the range of doubles.
    """
    if estimator.certificate_.status != Status.OPTIMAL.value or not hasattr(estimator, "covariance_"):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        covariance = scaling.covariance_to_raw(estimator.covariance_, has_intercept=estimator.fit_intercept)
    if not np.isfinite(covariance).all():
        return None
    if estimator.fit_intercept:
        return covariance
    n_logits, n_columns = estimator.coef_.shape
    with_intercept = np.zeros((n_logits, n_columns + 1, n_logits, n_columns + 1))
    with_intercept[:, :-1, :, :-1] = covariance.reshape(n_logits, n_columns, n_logits, n_columns)
    return with_intercept.reshape(n_logits * (n_columns + 1), -1)


def raw_shrinkage_bias(estimator: LogisticRegression, scaling: Scaling) -> npt.NDArray[np.float64] | None:
    """The bias of the raw coefficients, the intercept last, (k, p + 1); None where one leaves the range of doubles."""
    n_logits, n_columns = estimator.coef_.shape
    bias = np.zeros((n_logits, n_columns + 1))
    bias[:, : n_columns + int(estimator.fit_intercept)] = estimator.shrinkage_bias_.reshape(n_logits, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        raw = np.column_stack(scaling.to_raw(bias[:, :-1], bias[:, -1]))
    return raw if np.isfinite(raw).all() else None
