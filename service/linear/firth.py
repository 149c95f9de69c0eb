"""Firth's logistic regression: two classes, less bias than maximum likelihood, and finite on separated classes.

::

    maximise  ℓ*(w) = Σ sᵢ log pᵢ(yᵢ) + ½ log |I(w)|,   I = Σ sᵢ pᵢ (1 - pᵢ) xᵢ xᵢᵀ
    U* = Xᵀ(s (y - p) + h (½ - p)) = 0,                 h the leverages sᵢ pᵢ (1 - pᵢ) xᵢᵀ I⁻¹ xᵢ

For an intercept alone, and for any table with a parameter a cell, it is adding ½ to every count.

Source: D. Firth, Bias reduction of maximum likelihood estimates, Biometrika 80, 1993; G. Heinze, M. Schemper, A solution
to the problem of separation in logistic regression, Statistics in Medicine 21, 2002.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from service.errors import InvalidParameter, TooManyClasses, Underdetermined
from service.linear import checks
from service.linear.certificate import design_rank
from service.linear.checks import Labels
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.factor import factorise
from service.linear.leverage import leverages
from service.linear.likelihood import ChiSquareTest
from service.linear.link import sigmoid
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.scaling import Scaling

Mask: TypeAlias = npt.NDArray[np.bool_]

# No step may move the logit of a row by more: the likelihood far out says nothing about where to go.
LARGEST_STEP = 5.0
MOST_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class FirthFit:
    """coef: (p,), intercept: a number (0 without one), of the second of ``classes``; the raw columns.

    covariance: I⁻¹ at the fit, (q, q), the intercept last.  penalised_log_likelihood: ℓ* less its part that depends on
    the units of the columns only.  has_converged: whether U* is 0 to ``tol`` standard errors.
    """

    classes: Labels
    coef: Vector
    intercept: float
    covariance: Matrix
    penalised_log_likelihood: float
    n_iter: int
    has_converged: bool


def firth_logistic(
    X: Any, y: Any, sample_weight: Any = None, *, fit_intercept: bool = True, tol: float = 1e-9, max_iter: int = 1000
) -> FirthFit:
    """Fit rows X (n, p) of two classes y (n,); weight 2 is the row twice.

    tol: how far from the maximum to stop, in standard errors.  Raises the InvalidInput subclasses of
    ``LogisticRegression.fit`` for X, y and weights, TooManyClasses, and Underdetermined unless the columns are
    linearly independent.
    """
    problem = _Problem.of(X, y, sample_weight, fit_intercept=fit_intercept)
    return problem.fit(np.ones(problem.objective.n_params, dtype=np.bool_), tol, max_iter)


def firth_test(
    X: Any, y: Any, columns: Sequence[int], sample_weight: Any = None, *, fit_intercept: bool = True
) -> ChiSquareTest:
    """The penalised likelihood-ratio test of columns: whether their coefficients are all 0.

        2 (max ℓ* - max ℓ* with these coefficients at 0)  is χ² with a degree of freedom each

    Both maxima have the |I| of all columns.  Raises InvalidParameter for a column that is not there or is named twice, and
    the errors of ``firth_logistic``.  Source: Heinze and Schemper, as above.
    """
    problem = _Problem.of(X, y, sample_weight, fit_intercept=fit_intercept)
    n_columns = problem.objective.rows.n_columns
    if not columns or len(set(columns)) < len(columns) or not set(columns) <= set(range(n_columns)):
        raise InvalidParameter(f"columns must be different whole numbers from 0 to {n_columns - 1}")
    free = np.ones(problem.objective.n_params, dtype=np.bool_)
    whole = problem.fit(free)
    free[list(columns)] = False
    lost = whole.penalised_log_likelihood - problem.fit(free).penalised_log_likelihood
    return ChiSquareTest.of(max(2.0 * lost, 0.0), len(columns))


@dataclass(frozen=True)
class _Problem:
    """Checked rows on standardised columns, where |I| is a constant factor from that of the raw ones."""

    objective: BinaryObjective
    scaling: Scaling
    classes: Labels

    @classmethod
    def of(cls, X: Any, y: Any, sample_weight: Any, *, fit_intercept: bool) -> _Problem:
        """The problem of what a caller passes; raises the errors of ``firth_logistic``."""
        matrix = checks.as_matrix(X)
        labels, weights = checks.as_labels(y, len(matrix)), checks.as_weights(sample_weight, len(matrix))
        kept = weights > 0
        matrix, labels, weights = matrix[kept], labels[kept], weights[kept]
        classes, index = checks.classes_and_index(labels)
        checks.check_classes(classes)
        if len(classes) > 2:
            raise TooManyClasses(f"Firth's logistic regression is for two classes; y has {len(classes)}")
        scaling = Scaling.standard(matrix)
        if not fit_intercept:
            scaling = replace(scaling, centre=np.zeros_like(scaling.centre))
        rows = Rows(DenseColumns(scaling.apply(matrix)), weights, np.zeros(matrix.shape[1]), fit_intercept)
        if design_rank(rows) < rows.width:
            raise Underdetermined("the columns are not linearly independent; remove those that others make up for")
        return cls(BinaryObjective(rows, index.astype(np.float64)), scaling, classes)

    def fit(self, free: Mask, tol: float = 1e-9, max_iter: int = 1000) -> FirthFit:
        """The maximum of ℓ* over the ``free`` parameters, (n_params,), the others 0: Fisher scoring with halved steps."""
        w, n_iter, has_converged = np.zeros(len(free)), 0, False
        value, score, step = self._at(w, free)
        while n_iter < max_iter and not has_converged:
            n_iter += 1
            largest = self.objective.largest_change(self.objective.raw_prediction(step))
            step *= min(1.0, LARGEST_STEP / max(largest, LARGEST_STEP))
            w, value, score, step = self._halved(w, value, step, free)
            has_converged = float(score @ step) <= tol**2
        return self._told(w, value, n_iter, has_converged=has_converged)

    def _halved(self, w: Vector, value: float, step: Vector, free: Mask) -> tuple[Vector, float, Vector, Vector]:
        """The first of w + step, w + step / 2, … that does not lower ℓ* by more than its rounding; and what is there."""
        for _ in range(MOST_HALVINGS):
            tried = self._at(w + step, free)
            if tried[0] >= value - 1e-13 * abs(value):
                return w + step, *tried
            step = step / 2
        return w, *self._at(w, free)

    def _at(self, w: Vector, free: Mask) -> tuple[float, Vector, Vector]:
        """ℓ*, U* and the scoring step I⁻¹U* at w, of the free parameters."""
        value, gradient, information = self.objective.value_gradient_hessian(w)
        z = self.objective.raw_prediction(w)
        h = leverages(self.objective, w, factorise(information))
        score = self.objective.rows.augmented().T @ (h * 0.5 * (sigmoid(-z) - sigmoid(z))) - gradient
        step = np.zeros_like(w)
        step[free] = factorise(information[np.ix_(free, free)]).solve(score[free])
        return 0.5 * float(np.linalg.slogdet(information)[1]) - value, np.where(free, score, 0.0), step

    def _told(self, w: Vector, value: float, n_iter: int, *, has_converged: bool) -> FirthFit:
        information = self.objective.value_gradient_hessian(w)[2]
        inverse = factorise(information).solve(np.eye(len(w)))
        fit_intercept = self.objective.rows.fit_intercept
        n_columns = len(self.scaling.scale)
        coef, intercept = self.scaling.to_raw(w[None, :n_columns], w[n_columns:].sum(keepdims=True))
        return FirthFit(
            classes=self.classes,
            coef=coef[0],
            intercept=float(intercept[0]) if fit_intercept else 0.0,
            covariance=self.scaling.covariance_to_raw(inverse, has_intercept=fit_intercept),
            penalised_log_likelihood=value,
            n_iter=n_iter,
            has_converged=has_converged,
        )
