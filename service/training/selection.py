"""``C="auto"``: the strength of the L2 penalty with the least leave-one-out log-loss."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from service.errors import SeparationError
from service.linear.columns import Columns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.estimator import LogisticRegression
from service.linear.fit import objective_of
from service.linear.lanes import one_blas_thread
from service.linear.leave_one_out import figures, leave_one_out_logits, leave_one_out_loss, probabilities
from service.linear.objective import Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.threshold import CRITERIA, choose_threshold
from service.record import LeaveOneOutRecord
from service.training.options import TrainingOptions

Points: TypeAlias = tuple[tuple[float, float], ...]

# Leave-one-out needs the factor of a Hessian of this many parameters, squared, and passes it over all rows.
MOST_PARAMS = 1000
# rows · parameters²: some twenty fits, each of some five Hessians, in some twenty seconds.
MOST_WORK = 1e9
# λ over the spread of a column: at 10 the coefficients have all but vanished, at 1e-7 the penalty has.
STRONGEST, WEAKEST, N_GRID = 10.0, 1e-7, 20
# Rises in a row after which a path is not followed further: one may be noise.
MOST_RISES = 2
REFINEMENTS = 6
GOLDEN = (math.sqrt(5) - 1) / 2
# The path needs no more of an optimum; Newton's last step usually gives far more.
PATH_TOL = 1e-8


@dataclass(frozen=True, slots=True)
class FittingRows:
    """Rows X (n, p), classes 0…K-1 (n,), weights (n,) > 0 with those of classes included, and whether to fit a constant.

    class_weight: what the weights of each class, (K,), were multiplied by; None: by 1.
    """

    X: Columns
    index: Index
    weights: Vector
    fit_intercept: bool
    class_weight: Vector | None = None

    @property
    def population_weights(self) -> Vector:
        """The weights without those of the classes, (n,)."""
        return self.weights if self.class_weight is None else self.weights / self.class_weight[self.index]

    @property
    def prior_shift(self) -> Vector:
        """What brings the logits of the weighted fit back to the population, (k,): minus the logarithms of the class weights.

        Weights c make the fit estimate cₖ P(k | x) / Σ cⱼ P(j | x).  For two classes the shift is one constant,
        -log(c₁ / c₀), which changes no ranking.  Without an intercept it is 0: the logit has no constant to move.
        Source: G. King, L. Zeng, Logistic regression in rare events data, Political Analysis 9, 2001, section 4.1.
        """
        n_classes = int(self.index.max()) + 1
        if self.class_weight is None or not self.fit_intercept:
            return np.zeros(1 if n_classes == 2 else n_classes)
        shift = -np.log(self.class_weight)
        return shift[1:] - shift[:1] if n_classes == 2 else np.asarray(shift - shift.mean(), dtype=np.float64)

    @property
    def n_params(self) -> int:
        """Parameters of the fit, those of all K logits for more than two classes."""
        n_classes = int(self.index.max()) + 1
        width = self.X.shape[1] + int(self.fit_intercept)
        return width if n_classes == 2 else n_classes * width

    @property
    def is_affordable(self) -> bool:
        """Whether leave-one-out costs no more than ``MOST_PARAMS`` and ``MOST_WORK`` allow."""
        return self.n_params <= MOST_PARAMS and self.X.shape[0] * self.n_params**2 <= MOST_WORK

    @property
    def spread(self) -> float:
        """The weighted sum of squares of a column, on average: the total weight for standardised columns."""
        rows = Rows(self.X, self.weights, np.zeros(self.X.shape[1]), fit_intercept=False)
        with np.errstate(over="ignore", invalid="ignore"):
            squares, total = rows.transposed_product(self.weights, squared=True), rows.total_weight
            if self.fit_intercept:
                squares -= rows.transposed_product(self.weights) ** 2 / total
            spread = float(np.mean(np.maximum(squares, 0.0)))
        # Columns at the ends of the doubles, or all constant, are the fit's to judge, not the grid's.
        return float(np.clip(spread, 1e-150, 1e150)) if 0 < spread < math.inf else 1.0

    def objective(self, C: float) -> BinaryObjective | SoftmaxObjective:
        """What a fit with this C minimises."""
        l2 = np.full(self.X.shape[1], 0.0 if math.isinf(C) else 1.0 / C)
        rows = Rows(self.X, self.weights, l2, self.fit_intercept)
        return objective_of(rows, self.index, int(self.index.max()) + 1)


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen C, all (C, leave-one-out log-loss) that were tried, C ascending, and the end of the grid it is at."""

    C: float
    path: Points
    end: Literal["strong", "weak"] | None

    @property
    def reason(self) -> str:
        """How C was chosen, in words."""
        at_end = {"strong": ", the strongest tried", "weak": ", the weakest tried", None: ""}
        return f"chosen by leave-one-out log-loss{at_end[self.end]}"


def choose_strength(rows: FittingRows) -> Choice:
    """The C of the least leave-one-out log-loss, to three digits; a tie goes to the stronger penalty.

    A grid of λ from 10 down to 1e-7 times the spread of the columns, each fit started from the last, until the loss
    has risen twice in a row; then golden sections between the neighbours of the least, to 10 %.  A least at an end of
    the grid is taken as it is, and ``Choice.end`` says so.  Deterministic.  Raises what the fit raises, but for
    SeparationError, which counts as an infinite loss.
    """
    loss_of = path_loss(rows)
    grid = strength_grid(rows.spread)
    losses: list[float] = []
    for C in grid:
        losses.append(loss_of(C))
        if _has_risen(losses):
            break
    best = int(np.argmin(losses))
    tried = dict(zip(grid, losses, strict=False))
    if 0 < best < len(losses) - 1:
        tried |= refine(loss_of, grid[best - 1], grid[best + 1])
    path = tuple(sorted(tried.items()))
    chosen = min(path, key=lambda point: point[1])[0]
    end: Literal["strong", "weak"] | None = "strong" if chosen == grid[0] else "weak" if chosen == grid[-1] else None
    return Choice(chosen, tuple(point for point in path if math.isfinite(point[1])), end)


def strength_grid(spread: float) -> tuple[float, ...]:
    """C = 1 / λ, ascending, evenly spaced in its logarithm."""
    return tuple(three_digits(1.0 / (spread * factor)) for factor in np.geomspace(STRONGEST, WEAKEST, N_GRID))


def three_digits(number: float) -> float:
    """The number as it can be written down and asked for again."""
    return float(f"{number:.3g}")


def _has_risen(losses: list[float]) -> bool:
    tail = losses[-MOST_RISES - 1 :]
    return len(tail) > MOST_RISES and all(later >= earlier for earlier, later in pairwise(tail))


def refine(loss_of: Callable[[float], float], low: float, high: float) -> dict[float, float]:
    """C → loss at golden sections of the logarithm of [low, high].

    Source: J. Kiefer, Sequential minimax search for a maximum, Proceedings of the AMS 4, 1953.
    """
    a, b = math.log(low), math.log(high)
    tried: dict[float, float] = {}

    def at(position: float) -> float:
        C = three_digits(math.exp(position))
        if C not in tried:
            tried[C] = loss_of(C)
        return tried[C]

    left, right = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
    for _ in range(REFINEMENTS):
        if at(left) <= at(right):
            b, left, right = right, right - GOLDEN * (right - a), left
        else:
            a, left, right = left, right, left + GOLDEN * (b - left)
    return tried


def path_loss(rows: FittingRows) -> Callable[[float], float]:
    """A function C → leave-one-out log-loss, each fit started from the last; inf where no optimum is found."""
    estimator = LogisticRegression(fit_intercept=rows.fit_intercept, tol=PATH_TOL, warm_start=True)

    def loss_of(C: float) -> float:
        estimator.set_params(C=C)
        # The path is only compared; what its end is worth is told by the certificate of the fit that follows.
        with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", UserWarning)
            try:
                estimator.fit(rows.X, rows.index, rows.weights)
            except SeparationError:
                return math.inf
            with one_blas_thread():
                loss = leave_one_out_loss(rows.objective(C), parameters(estimator))
        return loss if math.isfinite(loss) else math.inf

    return loss_of


def parameters(estimator: LogisticRegression) -> Vector:
    """The fitted parameters as an objective lays them out: for each logit its coefficients, then its intercept if any."""
    coef = estimator.coef_
    return (np.column_stack([coef, estimator.intercept_]) if estimator.fit_intercept else coef).ravel()


def logits_left_out(rows: FittingRows, estimator: LogisticRegression) -> Matrix:
    """The leave-one-out logits of the rows that ``estimator`` was fitted to, (n, k): see ``linear.leave_one_out``."""
    with one_blas_thread():
        return leave_one_out_logits(rows.objective(float(estimator.C)), parameters(estimator))


def leave_one_out_record(rows: FittingRows, estimator: LogisticRegression) -> LeaveOneOutRecord | None:
    """The leave-one-out figures of a certified fit to ``rows``; None when they are too dear, or not finite."""
    if not rows.is_affordable:
        return None
    logits = logits_left_out(rows, estimator) + rows.prior_shift
    if not np.isfinite(logits).all():
        return None
    found = figures(logits, rows.index, rows.population_weights)
    return LeaveOneOutRecord(
        log_loss=found.log_loss,
        accuracy=found.accuracy,
        brier=found.brier,
        roc_auc=found.roc_auc,
        calibration_slope=None if found.recalibration is None else found.recalibration.slope,
        calibration_intercept=None if found.recalibration is None else found.recalibration.intercept,
        suggested_thresholds=suggested_thresholds(rows, logits) if logits.shape[1] == 1 else {},
    )


def suggested_thresholds(rows: FittingRows, logits: Matrix) -> dict[str, float]:
    """The best threshold of two classes on leave-one-out logits (n, 1) by each criterion of ``choose_threshold``.

    With class weights c also "class_weight", c₀ / (c₀ + c₁): there the labels are those of the weighted fit, and a
    false positive is taken to cost c₀ where a false negative costs c₁.
    """
    p = probabilities(logits)[:, 1]
    found: dict[str, float] = {
        criterion: choose_threshold(rows.index, p, criterion, sample_weight=rows.population_weights).threshold
        for criterion in CRITERIA
    }
    if rows.class_weight is None or not rows.fit_intercept:
        return found
    return {**found, "class_weight": float(rows.class_weight[0] / rows.class_weight.sum())}


@dataclass(frozen=True, slots=True)
class Strength:
    """The C of a fit, why it is this one ("" when it was asked for), the path it was chosen from, if it was; the L1 share."""

    C: float
    reason: str = ""
    path: Points = ()
    l1_ratio: float = 0.0

    @property
    def kind(self) -> str:
        """The penalty's name."""
        if 0 < self.l1_ratio < 1:
            return f"elastic net ({self.l1_ratio:g} of it L1)"
        return "L1" if self.l1_ratio else "L2"

    def penalty(self, *, on_standardized: bool) -> str:
        """The penalty and its scale, in words."""
        if math.isinf(self.C):
            return "none"
        why = f", {self.reason}" if self.reason else ""
        scale = "standardised" if on_standardized else "raw"
        return f"{self.kind} with C = {self.C:g}{why}, on {scale} columns, the intercept free"


def strength_of(options: TrainingOptions, rows: FittingRows) -> Strength:
    """The C that was asked for; for "auto" the chosen one, or 1 where choosing is not offered.

    Gradient descent has no certified optimum whose leave-one-out could be trusted; under an L1 penalty a row that is left
    out may change which coefficients are 0; see ``FittingRows.is_affordable``.
    """
    if options.C != "auto":
        return Strength(options.C, l1_ratio=options.l1_ratio)
    if options.has_l1:
        return Strength(1.0, "leave-one-out being for L2 alone", l1_ratio=options.l1_ratio)
    if options.solver == "gradient-descent":
        return Strength(1.0, "gradient descent choosing none")
    if not rows.is_affordable:
        return Strength(1.0, "the data being too large to choose it by leave-one-out")
    choice = choose_strength(rows)
    return Strength(choice.C, choice.reason, choice.path)
