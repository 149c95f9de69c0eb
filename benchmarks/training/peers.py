"""Who is measured: one small adapter per peer, each minimising the objective of ``objective.value``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.training.objective import Coefficients
from benchmarks.training.ours import OWN, SERVICE
from benchmarks.training.peer import N_THREADS, Fit, Peer, Prepare, fitted, ready
from benchmarks.training.problem import Problem
from benchmarks.training.shapes import LEVELS, N_NUMERIC

# The limit in seconds ends a fit, never a count of steps.
NO_LIMIT = 1_000_000


def _scikit(solver: str) -> Prepare:
    def prepare(problem: Problem, tolerance: float) -> Fit:
        from sklearn.linear_model import LogisticRegression

        wide = problem.X.shape[1] > len(problem.y)
        model = LogisticRegression(
            C=problem.C,
            l1_ratio=problem.l1_ratio,
            fit_intercept=problem.fit_intercept,
            solver=solver,
            tol=tolerance,
            max_iter=NO_LIMIT,
            dual=solver == "liblinear" and wide and problem.l1 == 0,
            random_state=0 if solver in {"liblinear", "saga"} else None,
        )
        return fitted(model, ready(problem, Problem.rows))

    return prepare


def _glum(problem: Problem, tolerance: float) -> Fit:
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(
        family="binomial",
        alpha=problem.strength,
        l1_ratio=problem.l1_ratio,
        fit_intercept=problem.fit_intercept,
        gradient_tol=tolerance,
        max_iter=NO_LIMIT,
    )
    return fitted(model, ready(problem, _tabmat))


def _tabmat(problem: Problem) -> tuple[Any, Any]:
    """The matrix that glum likes: dense, sparse, or numeric columns beside categorical ones; and the labels."""
    import tabmat

    X, y = problem.rows("F")
    if problem.codes is not None:
        levels = [
            tabmat.CategoricalMatrix(codes.astype(np.int32), categories=np.arange(n))
            for codes, n in zip(problem.codes.T, LEVELS, strict=True)
        ]
        numeric = np.asfortranarray(X[:, :N_NUMERIC].toarray())
        matrix = tabmat.SplitMatrix([tabmat.DenseMatrix(numeric), *levels])
    elif sparse.issparse(X):
        matrix = tabmat.SparseMatrix(X.tocsc())
    else:
        matrix = tabmat.DenseMatrix(np.asfortranarray(X))
    return matrix, y.astype(np.float64)


def _snapml(problem: Problem, tolerance: float) -> Fit:
    from snapml import LogisticRegression

    model = LogisticRegression(
        regularizer=1.0 / problem.C, tol=tolerance, max_iter=NO_LIMIT, fit_intercept=True, n_jobs=N_THREADS
    )
    return fitted(model, ready(problem, Problem.rows))


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


def _skglm(solver: str) -> Prepare:
    def prepare(problem: Problem, tolerance: float) -> Fit:
        from skglm import GeneralizedLinearEstimator, solvers
        from skglm.datafits import Logistic
        from skglm.penalties import L1_plus_L2

        X = problem.X.tocsc() if sparse.issparse(problem.X) else np.asfortranarray(problem.X)
        y = np.where(problem.y == 1, 1.0, -1.0)
        # Its L2 alone has no working set rule: an elastic net without its L1 part is the same penalty.
        penalty = L1_plus_L2(problem.strength, problem.l1_ratio)
        descent = getattr(solvers, solver)(tol=tolerance, max_iter=NO_LIMIT, fit_intercept=problem.fit_intercept)
        return fitted(GeneralizedLinearEstimator(Logistic(), penalty, descent), lambda: (X, y))

    return prepare


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


SKLEARN = "scikit-learn as sklearn"
# Newton's steps are few: a ladder of every decade would measure the same fit many times.
NEWTON = (1e-3, 1e-5, 1e-7, 1e-9)
PENALISES = "penalises the intercept, if any: its gap is on the true objective, which it then does not minimise"
PEERS = {
    peer.name: peer
    for peer in (
        SERVICE,
        Peer("newton-cholesky", SKLEARN, _scikit("newton-cholesky"), "A A3 B C D G H I", ladder=NEWTON),
        Peer("glum", "glum", _glum, "A B C D H I", also="L1E L1F", ladder=NEWTON),
        Peer("newton-cg", SKLEARN, _scikit("newton-cg"), "A A3 B C D E F G H"),
        Peer("lbfgs", SKLEARN, _scikit("lbfgs"), "A A3 B C D E F G H", also="I"),
        Peer("liblinear", SKLEARN, _scikit("liblinear"), "A E F H L1E L1F", also="B C D", note=PENALISES),
        Peer("saga", SKLEARN, _scikit("saga"), "A A3 L1E L1F", also="B C D E F G H"),
        Peer("snapml", "snapml", _snapml, "A B E F", also="C D H", note=PENALISES),
        Peer("statsmodels", "statsmodels", _statsmodels, "A B", also="C D", ladder=(1e-8,), note="no tolerance to set"),
        Peer("skglm", "skglm", _skglm("ProxNewton"), "A E F L1E L1F", also="B C D H"),
        Peer("skglm-cd", "skglm", _skglm("AndersonCD"), "L1F", also="A E F L1E"),
        Peer("torch-lbfgs", "torch", _torch, "A A3 B C D E G"),
    )
}


def contenders(shape: str, chosen: Collection[str] | None) -> list[Peer]:
    """The peers that are run on a shape: the usual ones, or those chosen by name that can do it."""
    return [
        peer
        for peer in PEERS.values()
        if peer.takes(shape, by_default=chosen is None) and (chosen is None or peer.name in chosen)
    ]


def named(name: str) -> Peer:
    """A peer, or one of the service's own solvers, by the name that is reported.  Raises KeyError."""
    return {**PEERS, **{peer.name: peer for peer in OWN.values()}}[name]
