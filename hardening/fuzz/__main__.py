"""`python -m hardening.fuzz`: hostile requests for a running service; exit code 1 when one breaks a promise."""

from __future__ import annotations

import argparse
import math
import random
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from hardening.fuzz import contract, failures, mutations
from hardening.fuzz.attack import Attack
from hardening.fuzz.cases import BATCH
from hardening.fuzz.grammars import kinds as grammars
from hardening.fuzz.memory import MIB
from hardening.fuzz.running import COMMAND, running
from hardening.fuzz.sending import Sender

# Of each operation, schemathesis makes an example for so many requests of the whole, or so many a minute.
REQUESTS_AN_EXAMPLE, EXAMPLES_A_MINUTE, CONTRACT_SHARE = 1000, 10, 0.3
# Of the time, at most: trainings are slow where processors are scarce.
TRAIN_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is sent: a number of requests, or for so many seconds; the other one is infinite."""

    n_requests: float
    seconds: float
    began: float

    def is_spent(self, n_sent: int) -> bool:
        """Whether it is enough."""
        return n_sent >= self.n_requests or self.elapsed >= self.seconds

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return monotonic() - self.began

    @property
    def examples(self) -> int:
        """How many schemathesis makes of each operation."""
        if math.isinf(self.seconds):
            return 1 + int(self.n_requests) // REQUESTS_AN_EXAMPLE
        return 1 + int(self.seconds / 60 * EXAMPLES_A_MINUTE)


def main() -> int:
    """Attack, or send the cases of a file once more; print what became of it; the exit code."""
    began = monotonic()
    options = _parser().parse_args()
    is_timed = options.minutes is not None
    budget = Budget(math.inf if is_timed else options.requests, 60 * options.minutes if is_timed else math.inf, began)
    print(f"seed {options.seed}", flush=True)
    with running(shlex.split(options.command) or COMMAND) as service, Sender(service.port) as sender:
        attack = Attack(service, sender, failures.Failures(options.folder, options.seed))
        start = service.memory()
        if options.replay is not None:
            _replay(attack, options.replay)
        elif options.only is not None:
            _send_rounds(attack, budget, options.seed, options.only)
        else:
            _attack(attack, budget, options.seed)
        print(*_report(attack, start), f"{budget.elapsed:.0f} s", sep="\n")
    print(*attack.lines, sep="\n", end="", file=sys.stderr)
    return 1 if attack.lines else 0


def _report(attack: Attack, start: int) -> list[str]:
    """The table, memory from ``start`` on, and the sums."""
    grown, kind = attack.memory.most
    end = attack.service.memory()
    memory = (
        f"memory: {start / MIB:.0f} MiB at the start, {end / MIB:.0f} at the end; {grown / MIB:.1f} by {kind} alone"
    )
    return [*attack.tally.lines(), memory, f"{attack.tally.sent.total()} requests, {len(attack.lines)} findings"]


def _replay(attack: Attack, path: Path) -> None:
    cases = failures.read(path)
    # Growth of memory counts after as many as the class needs to warm up.
    attack.batch(cases if len(cases) == 1 else 2 * cases)


def _attack(attack: Attack, budget: Budget, seed: int) -> None:
    """First schemathesis, then rounds of all classes."""
    ends_at = budget.began + CONTRACT_SHARE * budget.seconds
    contract.run(attack, seed=seed, examples=budget.examples, ends_at=ends_at)
    _send_rounds(attack, budget, seed, "")


def _send_rounds(attack: Attack, budget: Budget, seed: int, words: str) -> None:
    """One batch of each class whose name has these words, in another order each time, until the budget is spent."""
    classes = [(grammars.cases, kind, n) for kind, n in grammars.kinds().items() if words in kind]
    classes += [(mutations.cases, kind, n) for kind, n in mutations.kinds().items() if words in kind]
    n_round = 0
    while attack.service.is_alive:
        random.Random(f"{seed} {n_round}").shuffle(classes)  # noqa: S311 — no secret
        for cases, kind, n in classes:
            if budget.is_spent(attack.tally.sent.total()):
                return
            if n >= BATCH or attack.training_s < TRAIN_SHARE * budget.elapsed:
                attack.batch(cases(kind, n, f"{seed} {n_round} {kind}"))
        n_round += 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hardening.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="how many are sent (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="send for so long, whatever the number")
    parser.add_argument("--seed", type=int, default=1, help="what is sent depends on it alone (default: %(default)s)")
    parser.add_argument("--replay", type=Path, help="send the cases of a file again, and nothing else")
    parser.add_argument("--only", metavar="WORDS", help="classes with these words in their name, and no schemathesis")
    parser.add_argument(
        "--folder", type=Path, default=failures.FOLDER, help="for failing inputs (default: %(default)s)"
    )
    parser.add_argument("--command", default="", help="what starts the service instead of `python -m service`")
    return parser


if __name__ == "__main__":
    sys.exit(main())
