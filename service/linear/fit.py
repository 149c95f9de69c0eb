"""From checked rows to certified coefficients: conditioning → objective → solver → certificate → raw coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from service.errors import InvalidParameter, SeparationError
from service.linear import checks
from service.linear.certificate import Certificate, Separation, design_rank
from service.linear.columns import Columns
from service.linear.columns.arrays import Index, Matrix, Vector
from service.linear.inference import covariance_of, shrinkage_bias
from service.linear.likelihood import Likelihood, likelihood_of
from service.linear.objective import Objective, Rows
from service.linear.objective_binary import BinaryObjective
from service.linear.objective_softmax import SoftmaxObjective
from service.linear.scaling import Scaling
from service.linear.separation import rounded_direction, verdict
from service.linear.solver import MAX_HESSIAN_PARAMS, Solution, Solver, Status
from service.linear.solvers import GradientDescent, Newton, NewtonCG, ProxNewton, RowSpace

# The Gram matrix of so many rows takes 3.2 GB.
MAX_GRAM_ROWS = 20_000
# The rank of more columns costs as much as a fit that has a penalty.
MOST_RANKED_COLUMNS = 1_000
# Beyond, conjugate gradients are faster.
MOST_ROWS_WITH_GRAM = 3_000
MOST_PARAMS_WITH_HESSIAN = 3_000
# Rows with one cell in so many columns are passed as fast as a Hessian of so many parameters is factored.
SCATTERED, MOST_SCATTERED_PARAMS = 8, 500


@dataclass(frozen=True, slots=True)
class Specification:
    """How to fit, checked: the hyper-parameters of ``LogisticRegression`` that are not about labels."""

    C: float
    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int | None
    learning_rate: float | None
    covariance: str | None
    l1_ratio: float = 0.0

    @property
    def l2(self) -> float:
        """λ = (1 - l1_ratio) / C, 0 for C = inf."""
        return (1.0 - self.l1_ratio) / self.C

    @property
    def l1(self) -> float:
        """κ = l1_ratio / C, 0 for C = inf."""
        return self.l1_ratio / self.C


@dataclass(frozen=True, slots=True)
class Fit:
    """coef (k, p) and intercept (k,) of the raw columns, k = 1 for two classes.

    covariance: (k q, k q) of q parameters a logit, or None; shrinkage_bias: (k, q) with it.
    """

    coef: Matrix
    intercept: Vector
    certificate: Certificate
    covariance: Matrix | None
    shrinkage_bias: Matrix | None
    likelihood: Likelihood
    n_iter: int
    loss_curve: Vector


def fit_rows(
    columns: Columns, index: Index, weights: Vector, specification: Specification, *, start: Matrix | None = None
) -> Fit:
    """Fit columns (n, p), classes 0…K-1 (n,) and weights (n,) > 0.

    start: (k, p + 1), the intercept last, where to begin.  Raises SeparationError when a solver that promises the optimum
    found no finite one, NumericOverflow, InvalidParameter, Diverged.
    """
    n_classes, (n_rows, n_columns) = int(index.max()) + 1, columns.shape
    is_scattered = SCATTERED * columns.row_numbers < n_columns
    solver, reason = choose_solver(specification, n_rows, n_columns, n_classes, is_scattered=is_scattered)
    scaling, given = Scaling.identity(n_columns), columns
    # Signs and zeros of columns that depend on each other settle sooner where they are centred and of one size.
    if isinstance(solver, ProxNewton) or not columns.is_idle():
        if solver.promises_optimum:
            scaling = conditioning(columns, specification)
            with np.errstate(over="ignore"):
                columns = columns.scaled(scaling)
        checks.check_range(columns)
    l2, l1 = specification.l2 / scaling.scale**2, specification.l1 / scaling.scale
    rows = Rows(columns, weights, l2, specification.fit_intercept, l1)
    objective = objective_of(rows, index, n_classes)
    solution = solver.minimise(objective, _start(objective, scaling, start))
    separation, witness = separation_of(objective, solution, scaling, given, index)
    if solution.status is Status.NO_FINITE_OPTIMUM and solver.promises_optimum:
        raise no_finite_optimum(separation, witness)
    certificate = certify(objective, solution, separation, witness, solver, reason)
    coef, intercept = raw_parameters(rows, solution.w, scaling)
    if specification.l1 > 0 and len(intercept) > 1:
        # These coefficients do not sum to 0 over classes: moving them back moved the intercepts all alike.
        intercept = intercept - intercept.mean()
    covariance = bias = None
    if specification.covariance is not None:
        covariance = scaling.covariance_to_raw(
            covariance_of(objective, solution.w, specification.covariance), has_intercept=specification.fit_intercept
        )
        bias = np.column_stack(raw_parameters(rows, shrinkage_bias(objective, solution.w), scaling))[:, : rows.width]
    likelihood = likelihood_of(objective, solution.w, solution.objective, certificate.rank)
    return Fit(coef, intercept, certificate, covariance, bias, likelihood, solution.n_iter, solution.loss_curve)


def objective_of(rows: Rows, index: Index, n_classes: int) -> BinaryObjective | SoftmaxObjective:
    """The sigmoid's objective for two classes, the softmax's for more."""
    if n_classes == 2:
        return BinaryObjective(rows, index.astype(np.float64))
    return SoftmaxObjective(rows, index, n_classes)


def choose_solver(
    specification: Specification, n_rows: int, n_columns: int, n_classes: int, *, is_scattered: bool = False
) -> tuple[Solver, str]:
    """The solver and why it is this one; is_scattered: whether most cells are zeros that nobody reads.

    Raises InvalidParameter when a Hessian, or a Gram matrix of the rows, would be too large.
    """
    n_params = (n_columns + int(specification.fit_intercept)) * (1 if n_classes == 2 else n_classes)
    budget = {} if specification.max_iter is None else {"max_iter": specification.max_iter}
    if specification.l1 > 0 or specification.solver == ProxNewton.name:
        return ProxNewton(tol=specification.tol, **budget), _reason_for_l1(specification)
    if specification.solver == "gradient-descent":
        return GradientDescent(specification.learning_rate, tol=specification.tol, **budget), "asked for"
    name, reason = specification.solver, "asked for"
    if name == "auto":
        name, reason = _by_shape(n_rows, n_columns, n_params, penalised=specification.l2 > 0, is_scattered=is_scattered)
    if name == "newton" and n_params > MAX_HESSIAN_PARAMS:
        raise InvalidParameter(
            f"{n_params} parameters need a Hessian of more than {MAX_HESSIAN_PARAMS} squared numbers; "
            'use fewer columns or classes, a finite C with solver="newton-cg", or solver="gradient-descent"'
        )
    if name == "row-space" and n_rows > MAX_GRAM_ROWS:
        raise InvalidParameter(
            f"{n_rows} rows need a Gram matrix of more than {MAX_GRAM_ROWS} squared numbers; "
            'use solver="auto", or "newton-cg" with a finite C',
            pointer="/options/solver",
        )
    kinds: dict[str, type[Newton | NewtonCG | RowSpace]] = {kind.name: kind for kind in (Newton, NewtonCG, RowSpace)}
    return kinds[name](tol=specification.tol, **budget), reason


def _reason_for_l1(specification: Specification) -> str:
    """Why the solver for an L1 penalty; raises InvalidParameter where another one was asked for, or there is none."""
    if specification.solver not in {"auto", ProxNewton.name}:
        raise InvalidParameter(
            f'l1_ratio above 0 needs solver="{ProxNewton.name}" or "auto": the others know no L1 penalty',
            pointer="/options/solver",
        )
    if specification.l1 == 0:
        raise InvalidParameter(
            f'solver="{ProxNewton.name}" needs an L1 penalty: l1_ratio above 0 and a finite C; else use "auto"',
            pointer="/options/solver",
        )
    return "an L1 penalty" if specification.solver == "auto" else "asked for"


def _by_shape(n_rows: int, n_columns: int, n_params: int, *, penalised: bool, is_scattered: bool) -> tuple[str, str]:
    """The solver for a shape, and why."""
    if penalised and n_columns > n_rows and n_rows <= MOST_ROWS_WITH_GRAM:
        return RowSpace.name, f"{n_columns} columns, {n_rows} rows: their span is smaller"
    if penalised and n_params > (MOST_SCATTERED_PARAMS if is_scattered else MOST_PARAMS_WITH_HESSIAN):
        return NewtonCG.name, f"{n_params} parameters: products with the Hessian are cheaper than the Hessian"
    return Newton.name, f"{n_params} parameters: the Hessian is small"


def conditioning(columns: Columns, specification: Specification) -> Scaling:
    """Zero mean and unit spread for Newton's arithmetic; the penalty is adapted, so that the optimum is the same."""
    scaling = columns.conditioning()
    if not specification.fit_intercept:
        # Columns that cannot be centred are of unit size.
        scaling = Scaling(np.zeros_like(scaling.centre), np.hypot(scaling.scale, scaling.centre))
    # Beyond this, λ / scale² and the columns themselves would leave the range of doubles.
    scale = np.clip(scaling.scale, 1e-140 * max(1.0, math.sqrt(1.0 / specification.C)), 1e140)
    return Scaling(scaling.centre, scale)


def _start(objective: Objective, scaling: Scaling, warm: Matrix | None) -> Vector:
    start = np.zeros(objective.n_params)
    if warm is None:
        return start
    by_logit = start.reshape(len(warm), -1)
    by_logit[:, : warm.shape[1] - 1] = warm[:, :-1] * scaling.scale
    if objective.rows.fit_intercept:
        by_logit[:, -1] = warm[:, -1] + warm[:, :-1] @ scaling.centre
    with np.errstate(over="ignore", invalid="ignore"):
        at_warm, at_zero = (objective.value_and_gradient(w)[0] for w in (start, np.zeros_like(start)))
    # A start that is worse than none may saturate every row, and hide that there is an optimum.
    if at_warm > at_zero:
        return np.zeros_like(start)
    # Centred over classes, coefficients that are 0 would be so no longer.
    return start if objective.l1_params.any() else objective.centred(start)


def raw_parameters(rows: Rows, w: Vector, scaling: Scaling) -> tuple[Matrix, Vector]:
    """The parameters w as coefficients (k, p) and intercepts (k,) of the raw columns."""
    by_logit = w.reshape(-1, rows.width)
    n_columns = rows.n_columns
    if not rows.fit_intercept:
        return scaling.to_raw(by_logit, np.zeros(len(by_logit)))[0], np.zeros(len(by_logit))
    return scaling.to_raw(by_logit[:, :n_columns], by_logit[:, n_columns])


def separation_of(
    objective: Objective, solution: Solution, scaling: Scaling, X: Columns, index: Index
) -> tuple[Separation, Matrix | None]:
    """The verdict on separation and its witness (k, p + 1) in raw coefficients, the intercept last; see ``separation``."""
    if objective.separates(solution.w):
        return "complete", np.column_stack(raw_parameters(objective.rows, solution.w, scaling))
    if math.isfinite(solution.gap_bound) and not (objective.l2_params.any() or objective.l1_params.any()):
        return "none", None
    if solution.recession is None:
        return "undecided", None
    direction = rounded_direction(np.column_stack(raw_parameters(objective.rows, solution.recession, scaling)))
    found = verdict(X, index, direction)
    return ("undecided", None) if found is None else (found, direction)


def no_finite_optimum(separation: Separation, witness: Matrix | None) -> SeparationError:
    """The refusal, with the witness and the columns that it rests on."""
    error = SeparationError(
        f"no finite optimum was found (separation: {separation}): without a penalty the coefficients "
        "of separated classes, or of columns that are nearly equal, grow for ever; use a finite C, or remove "
        "the column that gives the answer away or repeats another"
    )
    if witness is not None:
        error.witness = tuple(tuple(row) for row in witness.tolist())
    return error


def certify(
    objective: Objective,
    solution: Solution,
    separation: Separation,
    witness: Matrix | None,
    solver: Solver,
    reason: str,
) -> Certificate:
    """What is proved of the solution."""
    return Certificate(
        objective=solution.objective,
        gap_bound=solution.gap_bound,
        gap_relative=solution.gap_relative,
        status=solution.status.value,
        rank=_rank(objective, solution),
        separation=separation,
        witness=witness,
        solver=solver.name,
        reason=reason,
        passes=solution.passes,
    )


def _rank(objective: Objective, solution: Solution) -> int | None:
    """The rank of (X, 1), unless the penalty settles the fit and the rank is dear."""
    if solution.rank is not None:
        return solution.rank
    rows = objective.rows
    if (objective.l2_params.any() or objective.l1_params.any()) and min(rows.n_rows, rows.width) > MOST_RANKED_COLUMNS:
        return None
    return design_rank(rows)
