"""Who is measured: one small adapter per peer, each minimising the objective of ``objective.value``.

An adapter is a function of (problem, tolerance) that prepares the data in the form its peer likes best, outside the
measured time, and returns the fit, which takes no argument and gives ``Coefficients``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from benchmarks.training.objective import Coefficients
from benchmarks.training.shapes import LEVELS, N_NUMERIC, Problem

Fit: TypeAlias = Callable[[], Coefficients]

N_THREADS = 2
# The limit in seconds ends a fit, never a count of steps.
NO_LIMIT = 1_000_000
DECADES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12)


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to train.

    distribution and module: what is installed and imported.  ladder: tolerances, from loose to tight.
    can: shapes it solves; usual: those of the default set, without the ones where it is known to be slow.
    """

    name: str
    distribution: str
    module: str
    prepare: Callable[[Problem, float], Fit]
    ladder: tuple[float, ...]
    can: frozenset[str]
    usual: frozenset[str]
    note: str = ""

    @property
    def version(self) -> str | None:
        """The installed version; None when the peer is missing."""
        return metadata.version(self.distribution) if util.find_spec(self.module) else None


def _fitted(model: Any, X: Any, y: Any) -> Fit:
    """The fit of anything with ``fit``, ``coef_`` and ``intercept_``."""

    def fit() -> Coefficients:
        model.fit(X, y)
        return Coefficients(np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_))

    return fit


def _service(problem: Problem, tolerance: float) -> Fit:
    from service import LogisticRegression

    return _fitted(LogisticRegression(C=problem.C, tol=tolerance), problem.X, problem.y)


def _scikit(solver: str) -> Callable[[Problem, float], Fit]:
    def prepare(problem: Problem, tolerance: float) -> Fit:
        from sklearn.linear_model import LogisticRegression

        dual = solver == "liblinear" and problem.X.shape[1] > len(problem.y)
        seed = 0 if solver in {"liblinear", "saga"} else None
        model = LogisticRegression(
            C=problem.C, solver=solver, tol=tolerance, max_iter=NO_LIMIT, dual=dual, random_state=seed
        )
        return _fitted(model, problem.X, problem.y)

    return prepare


def _glum(problem: Problem, tolerance: float) -> Fit:
    import tabmat
    from glum import GeneralizedLinearRegressor

    if problem.codes is not None:
        numeric = np.asfortranarray(problem.X[:, :N_NUMERIC].toarray())
        levels = [
            tabmat.CategoricalMatrix(codes.astype(np.int32), categories=np.arange(n))
            for codes, n in zip(problem.codes.T, LEVELS, strict=True)
        ]
        X: Any = tabmat.SplitMatrix([tabmat.DenseMatrix(numeric), *levels])
    else:
        X = tabmat.DenseMatrix(np.asfortranarray(problem.X))
    model = GeneralizedLinearRegressor(
        family="binomial", alpha=problem.l2, l1_ratio=0, gradient_tol=tolerance, max_iter=NO_LIMIT
    )
    return _fitted(model, X, problem.y.astype(np.float64))


def _snapml(problem: Problem, tolerance: float) -> Fit:
    from snapml import LogisticRegression

    model = LogisticRegression(
        regularizer=1.0 / problem.C, tol=tolerance, max_iter=NO_LIMIT, fit_intercept=True, n_jobs=N_THREADS
    )
    return _fitted(model, problem.X, problem.y)


def _statsmodels(problem: Problem, tolerance: float) -> Fit:  # noqa: ARG001 — its ridge has no tolerance
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    design = np.column_stack([problem.X, np.ones(len(problem.y))])
    strengths = np.append(np.full(problem.X.shape[1], problem.l2), 0.0)

    def fit() -> Coefficients:
        model = GLM(problem.y, design, family=Binomial())
        w = model.fit_regularized(alpha=strengths, L1_wt=0, opt_method="newton-cg").params
        return Coefficients(w[None, :-1], w[-1:])

    return fit


def _skglm(problem: Problem, tolerance: float) -> Fit:
    from skglm import GeneralizedLinearEstimator
    from skglm.datafits import Logistic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import ProxNewton

    X = sparse.csc_matrix(problem.X) if sparse.issparse(problem.X) else np.asfortranarray(problem.X)
    # Its L2 alone has no working set rule: an elastic net without its L1 part is the same penalty.
    penalty = L1_plus_L2(problem.l2, 0.0)
    solver = ProxNewton(tol=tolerance, max_iter=NO_LIMIT, fit_intercept=True)
    model = GeneralizedLinearEstimator(Logistic(), penalty, solver)
    return _fitted(model, X, np.where(problem.y == 1, 1.0, -1.0))


def _torch(problem: Problem, tolerance: float) -> Fit:
    import torch

    torch.set_num_threads(N_THREADS)
    binary = problem.n_classes == 2
    X = torch.from_numpy(problem.X)
    y = torch.from_numpy(problem.y.astype(np.float64) if binary else problem.y)
    loss_of = torch.nn.BCEWithLogitsLoss() if binary else torch.nn.CrossEntropyLoss()

    def fit() -> Coefficients:
        layer = torch.nn.Linear(X.shape[1], 1 if binary else problem.n_classes, dtype=torch.float64)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        optimiser = torch.optim.LBFGS(
            layer.parameters(),
            max_iter=NO_LIMIT,
            tolerance_grad=tolerance,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

        def closure() -> Any:
            optimiser.zero_grad()
            logits = layer(X)
            loss = loss_of(logits[:, 0] if binary else logits, y) + 0.5 * problem.l2 * layer.weight.square().sum()
            loss.backward()
            return loss

        optimiser.step(closure)
        return Coefficients(layer.weight.detach().numpy(), layer.bias.detach().numpy())

    return fit


def _peer(
    name: str,
    package: str,
    prepare: Callable[[Problem, float], Fit],
    can: str,
    usual: str,
    *,
    ladder: tuple[float, ...] = DECADES,
    note: str = "",
) -> Peer:
    distribution, _, module = package.partition(" as ")
    return Peer(
        name,
        distribution,
        module or distribution,
        prepare,
        ladder,
        frozenset(can.split()),
        frozenset(usual.split()),
        note,
    )


OURS = "logitd"
SKLEARN = "scikit-learn as sklearn"
# Newton's steps are few: a ladder of every decade would measure the same fit many times.
NEWTON = (1e-3, 1e-5, 1e-7, 1e-9)
PENALISES = "penalises the intercept: its gap is on the true objective, which it does not minimise"
PEERS = {
    peer.name: peer
    for peer in (
        _peer(OURS, "logitd as service", _service, "A A3 B C D E F G H", "A A3 B C D E F G H", ladder=(1e-6, 1e-10)),
        _peer(
            *("newton-cholesky", SKLEARN, _scikit("newton-cholesky"), "A A3 B C D G H", "A A3 B C D G H"), ladder=NEWTON
        ),
        _peer("glum", "glum", _glum, "A B C D H", "A B C D H", ladder=NEWTON),
        _peer("newton-cg", SKLEARN, _scikit("newton-cg"), "A A3 B C D E F G H", "A A3 B C D E F G H"),
        _peer("lbfgs", SKLEARN, _scikit("lbfgs"), "A A3 B C D E F G H", "A A3 B C D E F G H"),
        _peer("liblinear", SKLEARN, _scikit("liblinear"), "A B C D E F H", "A E F", note=PENALISES),
        _peer("saga", SKLEARN, _scikit("saga"), "A A3 B C D E F G H", "A A3"),
        _peer("snapml", "snapml", _snapml, "A B C D E F H", "A B E F", note=PENALISES),
        _peer("statsmodels", "statsmodels", _statsmodels, "A B C D", "A B", ladder=(1e-8,), note="no tolerance to set"),
        _peer("skglm", "skglm", _skglm, "A B C D E F H", "A E F"),
        _peer("torch-lbfgs", "torch", _torch, "A A3 B C D E G", "A A3 B C D E G"),
    )
}
