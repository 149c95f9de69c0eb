"""The one runner: sends cases, has them judged, and watches the process; all three parts go through it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from hardening.fuzz.answers import Answer
from hardening.fuzz.cases import Case, Request
from hardening.fuzz.failures import Failures, smallest
from hardening.fuzz.judge import Finding, judged
from hardening.fuzz.memory import ALLOWED, MIB, Memory
from hardening.fuzz.running import Running
from hardening.fuzz.sending import Exchange, Sender
from hardening.fuzz.tally import Tally
from hardening.fuzz.valid import PREDICTIONS

# How often a class that grew has to grow once more.
AGAIN = 3
# The next one is on a new connection.
LIVEZ = Request("GET", "/livez", (("Connection", "close"),)).wire()


class Attack:
    """One service, what is found about it, and what was sent.

    lines: one for each finding that is unlike the others.  training_s: what went by waiting for trainings.
    """

    def __init__(self, service: Running, sender: Sender, failures: Failures) -> None:
        self.service = service
        self.tally = Tally()
        self.lines: list[str] = []
        self.memory = Memory()
        self.training_s = 0.0
        self._sender = sender
        self._failures = failures
        self._resident = service.memory()

    def batch(self, cases: Sequence[Case]) -> None:
        """Send cases of one class, and see that the service is well afterwards."""
        for case in cases:
            if not self.service.is_alive:
                return
            self.send(case)
        if cases and (trouble := self._trouble()):
            self.report(Finding("unwell", trouble), cases)

    def send(self, case: Case) -> None:
        """Send one case and judge all that follows from it."""
        began = perf_counter()
        if case.trains:
            self.service.wait_for_training(self._sender.guard_train_s)
        exchange = self._sender.send(case)
        if case.trains:
            self.training_s += perf_counter() - began
        answers, findings = self._judged(exchange)
        self.tally.add(case.part, answers, findings)
        for finding in findings:
            self.report(finding, [case])
        self._watch_memory(case)

    def account(self, case: Case, answers: Sequence[Answer], findings: Sequence[Finding]) -> None:
        """The same for what others have sent, and found."""
        found = [*findings, *self._complaints()]
        self.tally.add(case.part, answers, found)
        for finding in found:
            self.report(finding, [case])

    def report(self, finding: Finding, cases: Sequence[Case]) -> None:
        """Write down a finding, with the smallest input that leads to it when it has one."""
        line = self._failures.add(finding, cases, lambda: self._smallest(finding, cases))
        if line:
            self.lines.append(line)

    def _smallest(self, finding: Finding, cases: Sequence[Case]) -> Case | None:
        """None for what only many requests bring about, what takes long, and what died."""
        if len(cases) != 1 or finding.kind in {"memory", "hang", "contract"} or not self.service.is_alive:
            return None

        def fails(case: Case) -> bool:
            _, findings = self._judged(self._sender.send(case))
            return finding.kind in {found.kind for found in findings}

        return smallest(cases[0], fails)

    def _judged(self, exchange: Exchange) -> tuple[list[Answer], list[Finding]]:
        answers, findings = judged(exchange)
        return answers, [*findings, *self._complaints()]

    def _complaints(self) -> list[Finding]:
        complaint = self.service.complaint()
        died = [] if self.service.is_alive else [Finding("died", f"exit code {self.service.process.poll()}")]
        return [*([Finding("log", complaint)] if complaint else []), *died]

    def _watch_memory(self, case: Case) -> None:
        before, self._resident = self._resident, self.service.memory()
        growth = self.memory.count(case, self._resident - before)
        if not growth.is_due:
            return
        suspects = self.memory.judge(case)
        if suspects and all(self._grown_by(suspects) > ALLOWED for _ in range(AGAIN)):
            detail = f"more than {ALLOWED // MIB} MiB over {len(suspects)} requests, and so {AGAIN} times more"
            self.report(Finding("memory", detail), suspects)

    def _grown_by(self, cases: Sequence[Case]) -> int:
        """What the same requests take once more.

        Memory that is kept for the next ones (by each thread for itself) has been taken by now; a leak goes on.
        """
        before = self.service.memory()
        for case in cases:
            self._sender.send(case)
        self._resident = self.service.memory()
        return self._resident - before

    def _trouble(self) -> str:
        """Why the service is not well, if it is not."""
        if not self.service.is_alive:
            return f"the process has ended with {self.service.process.poll()}"
        lives = self._sender.send(Case("health", "livez", (LIVEZ,))).received
        predicts = self._sender.send(Case("health", "predict", (PREDICTIONS["json"].wire(),))).received
        for name, answer in (("/livez", lives), ("/predict", predicts)):
            if not answer.startswith(b"HTTP/1.1 200 "):
                return f"{name} answers a good request with {answer[:300]!r}"
        return ""
