"""A Ctrl-C where Python would lose it."""

from __future__ import annotations

import signal

import pytest

from service.cli.interrupts import remembered_interrupts


class Finalized:
    """Is interrupted in its finalizer."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_ends_what_is_going_on() -> None:
    """At once, as without the memory; afterwards it is as it was."""
    with pytest.raises(KeyboardInterrupt), remembered_interrupts():
        signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_that_was_lost_is_remembered() -> None:
    """The next look raises it; before there is nothing to raise."""
    with remembered_interrupts() as check:
        check()
        lost = Finalized()
        del lost
        with pytest.raises(KeyboardInterrupt):
            check()


def test_what_is_ignored_stays_ignored() -> None:
    """As nohup has it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with remembered_interrupts() as check:
            signal.raise_signal(signal.SIGINT)
            check()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
