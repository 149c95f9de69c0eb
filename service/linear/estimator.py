"""``LogisticRegression``: hyper-parameters, checks, and the walk from rows to certified coefficients."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from service.errors import InvalidParameter
from service.linear import checks, interop
from service.linear.checks import Labels
from service.linear.coefficient_table import INTERCEPT, CoefficientTable, coefficient_table, summary_text
from service.linear.columns import Columns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.fit import Specification, fit_rows
from service.linear.inference import COVARIANCES, standard_errors
from service.linear.lanes import one_blas_thread
from service.linear.predict import log_probabilities, of_logits, probabilities
from service.linear.solver import Status
from service.linear.solvers import SOLVER_NAMES

# 1 / C must be a double.
SMALLEST_C = 1e-300


class LogisticRegression:
    """Logistic regression for two classes (sigmoid) or more (softmax), with a certified optimum.

        minimise  Σ sᵢ lossᵢ + [(1 - l1_ratio) ‖coef‖² / 2 + l1_ratio ‖coef‖₁] / C        the intercept is not penalised

    C: inverse strength of the penalty, as in scikit-learn; ``math.inf`` for none.  l1_ratio: from 0 (L2) to 1 (L1: many
    coefficients are 0 exactly); between them the elastic net.
    fit_intercept: whether the logit has a constant.  class_weight: None, "balanced", or label → weight.
    solver: "auto", or "newton", "newton-cg", "row-space", "prox-newton" (for L1), which certify the optimum, or
    "gradient-descent" (plain; what its budget reaches).
    tol: the certified gap relative to the objective at which to stop.  max_iter: None for the solver's own default.
    learning_rate: of gradient descent on the mean loss; None for the safe step.  warm_start: start from the last fit.
    covariance: None, or what ``covariance_`` and ``standard_errors_`` rest on: "observed" (the curvature), or the robust
    "hc0", "hc1", "hc2", "hc3" (see ``sandwich``); None with an L1 penalty.

    After ``fit``: ``coef_`` (1 or K, p), ``intercept_`` (1 or K,), ``classes_`` (K,), ``n_iter_`` (1,),
    ``n_features_in_``, ``feature_names_in_`` (from a data frame), ``loss_curve_`` (mean objective along the way),
    ``certificate_`` (see ``Certificate``), ``likelihood_`` (see ``Likelihood``), ``covariance_`` (q, q), ``standard_errors_`` ((p+1,) or (K, p+1)) and
    ``shrinkage_bias_`` (of the same shape, 0 without a penalty; see ``inference``): columns first, intercept last.
    """

    def __init__(
        self,
        C: float = 1.0,
        l1_ratio: float = 0.0,
        fit_intercept: bool = True,  # noqa: FBT001, FBT002 — scikit-learn's signature
        class_weight: Any = None,
        solver: str = "auto",
        tol: float = 1e-10,
        max_iter: int | None = None,
        learning_rate: float | None = None,
        warm_start: bool = False,  # noqa: FBT001, FBT002 — scikit-learn's signature
        covariance: str | None = None,
    ) -> None:
        self.C = C
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.warm_start = warm_start
        self.covariance = covariance

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X (n, p) and labels y (n,), weighted by sample_weight (n,), weight 2 meaning the row twice.

        Raises InvalidInput (a ValueError) subclasses for data or parameters that cannot be fitted, SeparationError
        when no finite optimum was found for C = inf by a solver that promises the optimum, Diverged.  Warns
        ConvergenceWarning when the budget was spent before the optimum was certified.
        """
        self._check_parameters()
        names = checks.feature_names(X)
        columns = checks.as_columns(X)
        checks.check_columns_finite(columns)
        n_rows, n_columns = columns.shape
        labels, weights = checks.as_labels(y, n_rows), checks.as_weights(sample_weight, n_rows)
        # A row of weight 0 is a row that is not there, its label included.
        kept = weights > 0
        if not kept.all():
            columns, labels, weights = columns.take(np.flatnonzero(kept)), labels[kept], weights[kept]
        classes, index = checks.classes_and_index(labels)
        checks.check_classes(classes)
        weights = checks.with_class_weight(weights, index, classes, self.class_weight)
        start = self._warm_parameters(n_columns, classes) if self.warm_start else None
        self._forget()
        self.n_features_in_ = n_columns
        if names is not None:
            self.feature_names_in_ = names
        self.classes_ = classes
        with one_blas_thread():
            self._fit(columns, index, weights, start)
        return self

    def _forget(self) -> None:
        """Drop the last fit, so that a fit that fails leaves no half of it behind."""
        for name in [name for name in vars(self) if name.endswith("_")]:
            delattr(self, name)

    def _fit(self, columns: Columns, index: Index, weights: Vector, start: Matrix | None) -> None:
        specification = Specification(
            C=float(self.C),
            fit_intercept=bool(self.fit_intercept),
            solver=self.solver,
            tol=float(self.tol),
            max_iter=None if self.max_iter is None else int(self.max_iter),
            learning_rate=self.learning_rate,
            covariance=self.covariance,
            l1_ratio=float(self.l1_ratio),
        )
        fit = fit_rows(columns, index, weights, specification, start=start)
        self.coef_, self.intercept_ = fit.coef, fit.intercept
        self.n_iter_ = np.array([max(fit.n_iter, 1)])
        self.loss_curve_ = fit.loss_curve
        self.certificate_, self.likelihood_ = fit.certificate, fit.likelihood
        if fit.covariance is not None and fit.shrinkage_bias is not None:
            self.covariance_ = fit.covariance
            shape = (-1,) if len(self.classes_) == 2 else (len(self.classes_), -1)
            self.standard_errors_ = standard_errors(fit.covariance).reshape(shape)
            self.shrinkage_bias_ = fit.shrinkage_bias.reshape(shape)
        if fit.certificate.status == Status.BUDGET_SPENT.value:
            interop.warn_not_converged(
                f"{fit.certificate.solver} stopped after max_iter={fit.n_iter} steps before the optimum was certified "
                f"(gap bound {fit.certificate.gap_bound:.3g}); raise max_iter, scale the columns, or use solver='newton'"
            )

    def _warm_parameters(self, n_columns: int, classes: Labels) -> Matrix | None:
        """(coef, intercept) of the last fit when it was of the same shape, else None."""
        if not hasattr(self, "coef_") or self.coef_.shape[1] != n_columns or not np.array_equal(self.classes_, classes):
            return None
        return np.column_stack([self.coef_, self.intercept_])

    def decision_function(self, X: Any) -> Matrix:
        """The logit of the second class, (n,), or the K logits, (n, K); raises NumericOverflow beyond doubles."""
        return self._of_logits(X, lambda logits: logits, None if self._has_two_classes else len(self.classes_))

    def predict(self, X: Any) -> Labels:
        """The most probable label of each row, (n,); a tie goes to the first of ``classes_``."""
        logits = self.decision_function(X)
        index = (logits > 0).astype(np.intp) if len(self.classes_) == 2 else logits.argmax(axis=1)
        return np.asarray(self.classes_[index])

    def predict_proba(self, X: Any) -> Matrix:
        """P(class | row), (n, K) in the order of ``classes_``; rows sum to 1."""
        return self._of_logits(X, probabilities, len(self._fitted().classes_))

    def predict_log_proba(self, X: Any) -> Matrix:
        """Logarithms of P(class | row), (n, K): finite where the probability itself underflows to 0."""
        return self._of_logits(X, log_probabilities, len(self._fitted().classes_))

    @property
    def _has_two_classes(self) -> bool:
        return len(self._fitted().classes_) == 2

    def _of_logits(self, X: Any, then: Callable[[Matrix], Matrix], n_outputs: int | None) -> Matrix:
        with one_blas_thread():
            return of_logits(self._checked(X), self.coef_, self.intercept_, then, n_outputs)

    def signed_distance(self, X: Any) -> Matrix:
        """Signed distance of each row to the hyperplane xᵀw + b = 0: (xᵀw + b) / ‖w‖, shaped like ``decision_function``.

        Positive on the side of the second class; 0 exactly where the probability is ½.  For K classes: to the
        hyperplane of each class's own logit.  A zero ‖w‖ has no hyperplane, and gives NaN.
        """
        norms = np.sqrt((self._fitted().coef_ ** 2).sum(axis=1))
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = self.decision_function(X) / (norms[0] if len(self.classes_) == 2 else norms)
        return np.asarray(np.where(np.isfinite(distance), distance, np.nan), dtype=np.float64)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy of ``predict`` on X against y, weighted.  Raises LengthMismatch, NotCategorical, InvalidWeights."""
        predicted = self.predict(X)
        labels, weights = checks.as_labels(y, len(predicted)), checks.as_weights(sample_weight, len(predicted))
        return float(np.average(predicted == labels, weights=weights))

    def coefficient_tables(self, *, level: float = 0.95) -> list[CoefficientTable]:
        """A table for the logit of the second class, or for each of K logits; needs ``covariance``: InvalidParameter."""
        _require(hasattr(self._fitted(), "standard_errors_"), "covariance", "given to fit for tests and intervals")
        names = getattr(self, "feature_names_in_", [f"x{column}" for column in range(self.n_features_in_)])
        errors, biases = (part.reshape(len(self.coef_), -1) for part in (self.standard_errors_, self.shrinkage_bias_))
        estimates = self.coef_
        if self.fit_intercept:
            names, estimates = [*names, INTERCEPT], np.column_stack([self.coef_, self.intercept_])
        logits = zip(estimates, errors, biases, strict=True)
        return [coefficient_table(names, *logit, level=level) for logit in logits]

    def summary(self, *, level: float = 0.95) -> str:
        """The text table of a statistician: coefficient, standard error, z, P>|z|, interval, likelihood, pseudo R².

        Raises InvalidParameter for the level, or when the fit had no ``covariance``.
        """
        tables = self.coefficient_tables(level=level)
        return summary_text(
            self.classes_[-len(tables) :],
            tables,
            likelihood=self.likelihood_,
            certificate=self.certificate_,
            C=self.C,
            covariance=str(self.covariance),
        )

    def _fitted(self) -> Self:
        if not hasattr(self, "coef_"):
            raise interop.not_fitted(self)
        return self

    def _checked(self, X: Any) -> Columns:
        self._fitted()
        names = checks.feature_names(X)
        known = getattr(self, "feature_names_in_", None)
        if names is not None and known is not None and list(names) != list(known):
            raise ValueError(_names_differ(list(names), list(known)))
        columns = checks.as_columns(X)
        checks.check_feature_count(columns.shape[1], self.n_features_in_, type(self).__name__)
        return columns

    def _check_parameters(self) -> None:
        _require(_is_number(self.C) and self.C >= SMALLEST_C, "C", "a number above 0, or math.inf for no penalty")
        _require(_is_number(self.l1_ratio) and 0 <= self.l1_ratio <= 1, "l1_ratio", "a number from 0 to 1")
        _require(self.solver in SOLVER_NAMES, "solver", " or ".join(f'"{name}"' for name in SOLVER_NAMES))
        _require(_is_number(self.tol) and 0 < self.tol < math.inf, "tol", "a number above 0")
        max_iter, rate = self.max_iter, self.learning_rate
        _require(max_iter is None or (_is_whole(max_iter) and max_iter >= 1), "max_iter", "a whole number from 1")
        _require(rate is None or (_is_number(rate) and 0 < rate < math.inf), "learning_rate", "a number above 0")
        kinds = ", ".join(f'"{name}"' for name in COVARIANCES)
        _require(self.covariance is None or self.covariance in COVARIANCES, "covariance", f"None or one of {kinds}")
        is_smooth = self.l1_ratio == 0 or math.isinf(self.C)
        _require(self.covariance is None or is_smooth, "covariance", "None with an L1 penalty: its zeros have none")
        for name in ("fit_intercept", "warm_start"):
            _require(isinstance(getattr(self, name), (bool, np.bool_)), name, "True or False")

    # scikit-learn's protocol for parameters.

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return sorted(name for name in inspect.signature(cls).parameters)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 — scikit-learn's signature
        """The hyper-parameters by name."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set hyper-parameters by name; InvalidParameter for an unknown one."""
        for name, value in params.items():
            _require(name in self._parameter_names(), name, "one of " + ", ".join(self._parameter_names()))
            setattr(self, name, value)
        return self

    def __sklearn_tags__(self) -> object:
        return interop.classifier_tags()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coef_")

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        given = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name in defaults and value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(given)})"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _require(holds: bool, name: str, expected: str) -> None:  # noqa: FBT001 — the claim itself
    if not holds:
        raise InvalidParameter(f"{name} must be {expected}", pointer=f"/options/{name}")


def _names_differ(names: list[str], known: list[str]) -> str:
    """scikit-learn's words for it, which its tools look for."""
    unseen, missing = sorted(set(names) - set(known)), sorted(set(known) - set(names))
    message = "The feature names should match those that were passed during fit.\n"
    if unseen:
        message += "Feature names unseen at fit time:\n" + "".join(f"- {name}\n" for name in unseen[:5])
        message += "- ...\n" if len(unseen) > 5 else ""
    if missing:
        message += "Feature names seen at fit time, yet now missing:\n" + "".join(f"- {name}\n" for name in missing[:5])
        message += "- ...\n" if len(missing) > 5 else ""
    if not unseen and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    return message
