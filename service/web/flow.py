"""``Flow``: uvicorn's flow control, which also waits for what has been read and not been parsed."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class Flow(FlowControl):
    """Whoever resumes reading resumes nothing while there is no room for more."""

    _is_full = False

    def hold_back(self, *, is_full: bool) -> None:
        """Read no more, or read on where it was this that stopped it."""
        if is_full == self._is_full:
            return
        self._is_full = is_full
        if is_full:
            self.pause_reading()
        else:
            self.resume_reading()

    def resume_reading(self) -> None:
        """As uvicorn's, when there is room."""
        if not self._is_full:
            super().resume_reading()
