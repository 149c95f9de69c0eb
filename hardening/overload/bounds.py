"""What an overload may do to the service, and what it may not."""

from __future__ import annotations

from collections import Counter

from hardening.load.generator import UNSENT
from hardening.load.probe import FAILED, p99_ms
from hardening.overload.measure import Overload

LEAST_GOODPUT = 0.9
MOST_REFUSED_MS = 10.0
MOST_GROWTH_MIB = 64.0
MOST_BACK_S = 2.0
# As long as Kubernetes waits for a probe unless it is told otherwise.
MOST_LIVEZ_MS = 1000.0
# Less than this share of the rate, and it was not the load that was planned.
LEAST_OFFERED = 0.95
REFUSED = "503 temporary-reduced-capacity"
# Another way to say so: whoever waited for too long.
ALLOWED = frozenset({"200", REFUSED, "504 deadline-exceeded"})


def findings(measured: Overload) -> list[str]:
    """A line for each thing that is out of bounds."""
    found = [*_of_answers(measured), *_of_the_rest(measured)]
    return [f"{measured.kind.name}: {line}" for line in found]


def _of_answers(measured: Overload) -> list[str]:
    offered, lines = measured.offered, []
    # Of what is only told more is offered than a generator has connections for.
    allowed = ALLOWED if measured.kind.is_held else ALLOWED | {UNSENT}
    counts = sum((Counter(each.counts()) for each in (offered, *(turn.offered for turn in measured.turns))), Counter())
    for label, count in counts.items():
        if label not in allowed:
            lines.append(f"{count} requests came to {label}")
    if not measured.kind.is_held:
        return lines
    if offered.sent_rate() < LEAST_OFFERED * measured.rate:
        sent = f"{offered.sent_rate():.0f} of {measured.rate:.0f} requests/s were sent"
        lines.append(f"{sent}, and {offered.waited} waited for one of {offered.most_connections} connections")
    n_short = sum(turn.offered.sent_rate() < LEAST_OFFERED * turn.rate for turn in measured.turns)
    if 2 * n_short > len(measured.turns):
        lines.append(f"in {n_short} of {len(measured.turns)} turns less was sent than planned")
    if measured.goodput < LEAST_GOODPUT:
        lines.append(f"goodput is {measured.goodput:.0%} of the peak, at least {LEAST_GOODPUT:.0%} are due")
    if measured.goodput_in_turns < LEAST_GOODPUT:
        lines.append(f"in turns it is {measured.goodput_in_turns:.0%}")
    refused_ms = offered.took_ms(REFUSED, 0.99)
    if not offered.count(REFUSED):
        lines.append("nothing was refused")
    elif refused_ms > MOST_REFUSED_MS:
        lines.append(f"refusals took {refused_ms:.1f} ms at p99, at most {MOST_REFUSED_MS:g} ms are allowed")
    return lines


def _of_the_rest(measured: Overload) -> list[str]:
    lines = []
    failed = sum(one.label != "200" for one in measured.livez)
    if failed:
        reasons = ", ".join(sorted({one.label for one in measured.livez if one.label != "200"}))
        lines.append(f"{failed} of {len(measured.livez)} probes of /livez: {reasons.replace(FAILED, 'no answer')}")
    elif p99_ms(measured.livez) > MOST_LIVEZ_MS:
        lines.append(f"/livez took {p99_ms(measured.livez):.0f} ms at p99")
    if measured.growth_mib > MOST_GROWTH_MIB:
        lines.append(f"memory grew by {measured.growth_mib:.0f} MiB, at most {MOST_GROWTH_MIB:g} are allowed")
    if measured.back_s > MOST_BACK_S:
        lines.append(f"back to normal after {measured.back_s:.1f} s, at most {MOST_BACK_S:g} s are allowed")
    return lines
