"""What is sent too much of."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass

from hardening.load.answers import post
from hardening.load.models import COLUMNS, WIDE, rows

N_DIFFERENT = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of request.

    times: how much of it is offered, in ratio to the peak.  is_held: to all bounds; otherwise the service's share of the
    work is so small that to refuse costs as much as to answer, and no generator offers ten times of it.
    """

    name: str
    request: bytes
    times: float
    is_held: bool


def batch(n_rows: int) -> Kind:
    """So many rows, few of them different: some KiB for the network, and milliseconds of reading and computing."""
    table = (rows(N_DIFFERENT, COLUMNS[WIDE]) * -(-n_rows // N_DIFFERENT))[:n_rows]
    body = gzip.compress(json.dumps({"instances": table}).encode(), mtime=0)
    return Kind("batch", post(f"/predict?model={WIDE}", body, content_encoding="gzip"), times=10.0, is_held=True)


def row(_: int) -> Kind:
    """One row, whatever is asked for."""
    body = json.dumps({"instances": rows(1, COLUMNS[WIDE])}).encode()
    return Kind("row", post(f"/predict?model={WIDE}", body), times=1.5, is_held=False)


KINDS = {"batch": batch, "row": row}
