"""A certificate never promises more than is true."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
from problems import (
    PROBLEMS,
    QUASI_SEPARATED,
    REFERENCE_ERROR,
    SEPARATED,
    SMALL,
    Problem,
    drawn,
    reference_minimiser,
    reference_optimum,
)

from service.errors import SeparationError
from service.linear.certificate import design_rank, gap_bound, ridge_gap_bound
from service.linear.columns import DenseColumns
from service.linear.columns.arrays import Matrix, Vector
from service.linear.estimator import LogisticRegression
from service.linear.factor import factorise
from service.linear.objective import Rows
from service.linear.solvers import GradientDescent, Newton

small_problems = pytest.mark.parametrize("problem", SMALL, ids=str)
PENALISED = [problem for problem in SMALL if problem.l2 > 0]


def bound_at(problem: Problem, w: Vector) -> float:
    _, gradient, hessian = problem.objective.value_gradient_hessian(w)
    return gap_bound(problem.objective, w, gradient, factorise(hessian))


def iterates(problem: Problem) -> list[Vector]:
    """Points on the way of both solvers, and around the optimum at all distances."""
    start = np.zeros(problem.objective.n_params)
    newton = [Newton(tol=1e-300, max_iter=k).minimise(problem.objective, start).w for k in range(1, 12)]
    descent = [GradientDescent(tol=1e-300, max_iter=k).minimise(problem.objective, start).w for k in (1, 10, 100)]
    return [start, *newton, *descent, *neighbours(problem)]


def neighbours(problem: Problem) -> list[Vector]:
    rng, best = np.random.default_rng(0), reference_minimiser(problem).astype(np.float64)
    curvature = np.diag(problem.objective.value_gradient_hessian(best)[2])
    unit = np.sqrt(np.where(curvature > 0, curvature, 1.0))
    return [best + 10.0**e * rng.normal(size=len(best)) / unit for e in range(-8, 3)]


@small_problems
def test_the_bound_by_curvature_holds(problem: Problem) -> None:
    """At every iterate and around the optimum, the true gap is at most bound (B)."""
    noise = REFERENCE_ERROR * float(reference_optimum(problem))

    for w in iterates(problem):
        assert problem.true_gap(w) <= bound_at(problem, w) + noise


@pytest.mark.parametrize("problem", PENALISED, ids=str)
def test_the_bound_by_the_penalty_holds(problem: Problem) -> None:
    """With a penalty, the true gap is at most bound (A) everywhere, and (A) is finite near the optimum."""
    noise = REFERENCE_ERROR * float(reference_optimum(problem))

    for w in iterates(problem):
        assert problem.true_gap(w) <= ridge_gap_bound(problem.objective, w) + noise
    assert math.isfinite(ridge_gap_bound(problem.objective, neighbours(problem)[0]))


def test_the_bound_by_the_penalty_needs_a_penalty() -> None:
    """Without a penalty there is no bound (A)."""
    problem = next(problem for problem in PROBLEMS if problem.name == "binary-unpenalised")

    assert ridge_gap_bound(problem.objective, np.zeros(4)) == math.inf


@pytest.mark.parametrize(
    "name", ["binary", "binary-unpenalised", "three-classes", "collinear-unpenalised", "weighted-3"]
)
def test_the_bound_tends_to_the_truth(name: str) -> None:
    """Near the optimum the bound is the gap itself, and not a multiple of it."""
    problem = next(problem for problem in PROBLEMS if problem.name == name)
    near = neighbours(problem)[5]

    true_gap = problem.true_gap(near)

    # At a distance of 1e-3 the next term of the expansion is some 1e-3 of the first.
    assert bound_at(problem, near) == pytest.approx(true_gap, rel=0.02)


@pytest.mark.parametrize("size", [1e3, 1e5, 1e7])
def test_no_bound_where_curvature_has_underflowed(size: float) -> None:
    """At a point so far out that rows have lost their curvature, the bound is inf and not 0."""
    problem = next(problem for problem in PROBLEMS if problem.name == "binary-unpenalised")

    assert bound_at(problem, np.array([size, size, -size, 0.0])) == math.inf


@pytest.mark.parametrize("problem", [*SEPARATED, *QUASI_SEPARATED], ids=str)
def test_separated_classes_are_never_certified(problem: Problem) -> None:
    """However far the iterates go, rounding never feigns an optimum that does not exist."""
    start = np.zeros(problem.objective.n_params)

    # Beyond the thirtieth step the curvature of the separated rows is below rounding.
    for max_iter in (1, 5, 20, 30, 33, 36, 40, 50, 59):
        w = Newton(tol=1e-300, max_iter=max_iter).minimise(problem.objective, start).w
        for stretched in (w, 10 * w, 100 * w):
            assert bound_at(problem, stretched) == math.inf


def is_separated(problem: Problem) -> bool:
    """By a linear program: is there a δ with (δ_y - δ_k)ᵀx ≥ 0 for all rows and classes, and > 0 for one?"""
    K = problem.n_classes
    rows = problem.objective.rows.augmented()
    contrasts = np.array(
        [
            np.kron(np.eye(K)[y] - np.eye(K)[k], row)
            for row, y in zip(rows, problem.y, strict=True)
            for k in {*range(K)} - {int(y)}
        ]
    )
    result = scipy.optimize.linprog(
        -contrasts.sum(axis=0), A_ub=-contrasts, b_ub=np.zeros(len(contrasts)), bounds=(-1, 1)
    )
    # Whole-number rows: a separating δ gains far more than the tolerance of the program.
    return bool(-result.fun > 1e-6)


def whole_number_problem(seed: int) -> Problem:
    """Few rows of small whole numbers, which are separated, quasi-separated or neither about equally often."""
    rng = np.random.default_rng(seed)
    K = 2 if seed % 4 else 3
    n, p = int(rng.integers(2 * K, 9 * K)), int(rng.integers(1, 4))
    X = rng.integers(-2, 3, size=(n, p)).astype(np.float64)
    y = (X @ rng.normal(size=(p, K)) + rng.gumbel(size=(n, K))).argmax(axis=1)
    y[:K] = np.arange(K)
    return Problem(f"whole-{seed}", X, y, C=math.inf)


def test_the_fit_refuses_exactly_the_separated() -> None:
    """Of 200 small problems, those without a finite optimum, as a linear program judges, are refused, and only those."""
    verdicts = []
    for seed in range(200):
        problem = whole_number_problem(seed)
        try:
            fitted = LogisticRegression(C=math.inf).fit(problem.X, problem.y)
        except SeparationError:
            verdicts.append((True, is_separated(problem)))
        else:
            assert fitted.certificate_.separation == "none"
            verdicts.append((False, is_separated(problem)))

    assert [refused for refused, _ in verdicts] == [separated for _, separated in verdicts]
    # Both kinds occur often, or the test would say little.
    assert 50 < sum(refused for refused, _ in verdicts) < 150


def exact_margins(problem: Problem, w: Vector) -> list[Fraction]:
    """Each row's logit of its own class less the largest other one, in exact arithmetic."""
    rows = [[Fraction(x) for x in row] for row in problem.objective.rows.augmented().tolist()]
    weights = [[Fraction(x) for x in by_class] for by_class in w.reshape(-1, len(rows[0])).tolist()]
    if problem.n_classes == 2:
        weights = [[Fraction(0)] * len(rows[0]), *weights]
    logits = [[sum(a * b for a, b in zip(row, one, strict=True)) for one in weights] for row in rows]
    return [z[y] - max(other for k, other in enumerate(z) if k != y) for z, y in zip(logits, problem.y, strict=True)]


@pytest.mark.parametrize("K", [2, 3])
def test_separates_never_lies(K: int) -> None:
    """Whatever ``separates`` affirms is true in exact arithmetic, also where margins are at rounding level."""
    affirmed = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        w = rng.normal(size=(1 if K == 2 else K, 4))
        X = rng.normal(size=(6, 3))
        # The first row is put on the boundary between two classes but for some units in the last place.
        normal = w[-1] - (w[0] if K > 2 else 0)
        X[0, 2] = -(normal[3] + X[0, :2] @ normal[:2]) / normal[2] * (1 + (seed % 100) * 1e-15)
        logits = np.column_stack([X, np.ones(6)]) @ w.T
        y = (logits[:, 0] > 0).astype(np.intp) if K == 2 else logits.argmax(axis=1)
        problem = Problem("boundary", X, np.append(y, K - 1)[:6], fit_intercept=True)
        if problem.n_classes != K:
            continue
        if problem.objective.separates(w.ravel()):
            affirmed += 1
            assert min(exact_margins(problem, w)) > 0

    assert affirmed > 10


@pytest.mark.parametrize(
    "problem", [p for p in PROBLEMS if p.name.startswith(("separable", "more-", "one-row"))], ids=str
)
def test_the_witness_separates(problem: Problem) -> None:
    """The witness of a penalised fit has every row on its right side, in exact arithmetic and the raw units."""
    certificate = LogisticRegression(C=problem.C).fit(problem.X, problem.y).certificate_

    assert certificate.separation == "complete"
    assert certificate.witness is not None
    assert min(exact_margins(problem, certificate.witness)) > 0


def designs() -> list[tuple[str, Matrix]]:
    X = drawn(40, 4)[0]
    return [
        ("full", X),
        ("duplicated", np.column_stack([X, X[:, 1]])),
        ("collinear", np.column_stack([X, X @ [1.0, 2.0, -1.0, 0.5], X[:, 0] - X[:, 1]])),
        ("dummies", np.eye(3)[np.arange(40) % 3]),
        ("zero", np.column_stack([X, np.zeros(40)])),
        ("constant", np.column_stack([X, np.full(40, 7.0)])),
        ("wide", drawn(5, 12)[0]),
        ("nearly-collinear", np.column_stack([X, X[:, 0] + 1e-8 * X[:, 1] ** 2])),
        ("tall", np.tile(np.column_stack([X, X[:, 0] * 2]), (500, 1))),
    ]


@pytest.mark.parametrize(("name", "X"), designs(), ids=[name for name, _ in designs()])
@pytest.mark.parametrize("unit", [1e-150, 1e-6, 1.0, 1e6, 1e150])
def test_the_rank_is_that_of_the_scaled_matrix(name: str, X: Matrix, unit: float) -> None:
    """The rank is NumPy's of the matrix with columns of unit size, whatever units they come in."""
    rows = Rows(
        DenseColumns(X * np.where(np.arange(X.shape[1]) % 2, 1.0, unit)),
        np.ones(len(X)),
        np.zeros(X.shape[1]),
        fit_intercept=True,
    )
    augmented = np.column_stack([X, np.ones(len(X))])
    norms = np.linalg.norm(augmented, axis=0)

    assert design_rank(rows) == np.linalg.matrix_rank(augmented / np.where(norms > 0, norms, 1.0), tol=1e-9)


def test_nearly_equal_columns_are_not_certified() -> None:
    """Columns that differ in the ninth digit have an optimum that the Hessian cannot see: it is refused, not feigned."""
    X, y = drawn(50, 3)
    nearly_equal = np.column_stack([X, X[:, 0] + 1e-9 * drawn(50, 1, seed=5)[0][:, 0]])

    with pytest.raises(SeparationError, match="undecided"):
        LogisticRegression(C=math.inf).fit(nearly_equal, y)
