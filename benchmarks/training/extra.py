"""`python -m benchmarks.training.extra`: predicting beside scikit-learn, and the tutorial's descent; writes extra.md."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression as ScikitLogisticRegression
from threadpoolctl import threadpool_limits

from benchmarks.training.ours import OURS
from benchmarks.training.peer import N_THREADS
from benchmarks.training.problem import Index, Matrix
from benchmarks.training.report import duration, row
from benchmarks.training.shapes import dense
from service import LogisticRegression

N_PREDICTED, N_COLUMNS, N_TRAINED = 1_000_000, 30, 2_000
TUTORIAL_RATE, TUTORIAL_STEPS = 0.1, 300_000

Task: TypeAlias = Callable[[], Matrix]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same task done by this service and by a peer; each returns its answer, so that they can be compared."""

    text: str
    ours: Task
    peer_name: str
    peer: Task


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round, and the largest difference of the two answers."""

    pair: Pair
    ours: list[float]
    peer: list[float]
    difference: float


class TutorialRegression:
    """Gradient descent as tutorials write it: ``X.T @ (p - y) / n`` on the matrix with a column of ones."""

    def __init__(self, learning_rate: float, n_steps: int) -> None:
        self.learning_rate = learning_rate
        self.n_steps = n_steps

    def fit(self, X: Matrix, y: Index) -> Matrix:
        """The weights after all steps from 0, (1 + p,), the intercept first."""
        X = np.concatenate((np.ones((X.shape[0], 1)), X), axis=1)
        weights = np.zeros(X.shape[1])
        for _ in range(self.n_steps):
            p = 1 / (1 + np.exp(-np.dot(X, weights)))
            gradient = np.dot(X.T, (p - y)) / y.size
            weights -= self.learning_rate * gradient
        return weights


def predicting(n_rows: int, dtype: type[np.floating[Any]]) -> Pair:
    """``predict_proba`` of normal rows in this precision, by the same coefficients."""
    problem = dense(n_rows + N_TRAINED, N_COLUMNS)(np.random.default_rng(0))
    trained, rows = problem.head(N_TRAINED), problem.X[N_TRAINED:].astype(dtype)
    ours = LogisticRegression().fit(trained.X, trained.y)
    peer = ScikitLogisticRegression().fit(trained.X, trained.y)
    peer.coef_, peer.intercept_ = ours.coef_, ours.intercept_
    text = f"predict_proba, {n_rows:.0e}×{N_COLUMNS}, {np.dtype(dtype).name}"
    return Pair(text, lambda: ours.predict_proba(rows), "scikit-learn", lambda: np.asarray(peer.predict_proba(rows)))


def descending(n_steps: int) -> Pair:
    """The tutorial's own problem: two columns of iris, setosa against the rest, without a penalty."""
    X, species = load_iris(return_X_y=True)
    X, y = X[:, :2], (species != 0).astype(np.int64)
    plain = TutorialRegression(TUTORIAL_RATE, n_steps)
    model = LogisticRegression(
        C=np.inf, solver="gradient-descent", learning_rate=TUTORIAL_RATE, max_iter=n_steps, tol=1e-300
    )

    def fit() -> Matrix:
        model.fit(X, y)
        return np.append(model.intercept_, model.coef_)

    return Pair(f"gradient descent, 150×2, {n_steps} steps", fit, "a tutorial's class", lambda: plain.fit(X, y))


def measured(pair: Pair, rounds: int) -> Measured:
    """Both in turns, after a call each that is not counted."""
    answers = [pair.ours(), pair.peer()]
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for task, times in zip((pair.ours, pair.peer), seconds, strict=True):
            start = time.perf_counter()
            task()
            times.append(time.perf_counter() - start)
    return Measured(pair, *seconds, difference=float(np.max(np.abs(answers[0] - answers[1]))))


def extra_markdown(found: list[Measured]) -> str:
    """The table: medians with their spread, and how far the answers are from each other."""
    lines = ["# Predicting, and the tutorial's descent", "", "Written by `make bench-extra`; medians, in brackets the"]
    lines += [f"fastest and slowest of {len(found[0].ours)} rounds in turns; {N_THREADS} threads for all.", ""]
    lines += [row("task", OURS, "peer", "its time", "ratio", "answers differ by"), row(*["---"] * 6)]
    for each in found:
        ratio = f"{median(each.peer) / median(each.ours):.2g} ×"
        times = (_spread(each.ours), each.pair.peer_name, _spread(each.peer))
        lines.append(row(each.pair.text, *times, ratio, f"{each.difference:.1e}"))
    return "\n".join(lines) + "\n"


def _spread(seconds: list[float]) -> str:
    return f"{duration(median(seconds))} ({duration(min(seconds))} … {duration(max(seconds))})"


def main() -> None:
    """Measure, and write extra.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.extra", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder of the results")
    options = parser.parse_args()
    # The descent on separated classes warns that it spent its budget: that is its task here.
    warnings.simplefilter("ignore")
    with threadpool_limits(N_THREADS):
        pairs = (predicting(N_PREDICTED, np.float64), predicting(N_PREDICTED, np.float32), descending(TUTORIAL_STEPS))
        text = extra_markdown([measured(pair, options.rounds) for pair in pairs])
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "extra.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
