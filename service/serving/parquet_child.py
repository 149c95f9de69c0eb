"""The child process that reads a Parquet file: ``parquet_child PARENT MEMORY_BYTES FILE``.

A file of a few hundred bytes can say that it holds gigabytes, and what decodes it is not written in Python: whatever
happens here, happens to a process that the parent can afford to lose.

Standard output: for each chunk of rows one line of JSON (``Chunk``) and its numbers, then a line that has the end, the
error, or the traceback of a defect.
"""

from __future__ import annotations

import json
import sys
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from service.errors import OutOfMemory, ServiceError
from service.serving.carried import as_json
from service.serving.confined import bound_memory
from service.serving.processes import end_with

if TYPE_CHECKING:
    from service.tabular.table import Column, Table

NOT_ENOUGH = "reading this file takes more memory than it may have; is it what it should be?"
MISSING = -1


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is said of some rows ahead of their numbers, column by column: doubles, or 32-bit places in ``texts``.

    texts: by column, the different texts, of which place -1 is none; None for a numeric column.
    """

    names: list[str]
    n_rows: int
    texts: list[list[str] | None]


def send(table: Table, stdout: BinaryIO) -> None:
    """Write a chunk."""
    import numpy as np  # noqa: PLC0415 — after the bound on memory

    parts = [_encoded(column) for column in table.columns]
    chunk = Chunk(list(table.names), table.n_rows, [texts for texts, _ in parts])
    stdout.write(json.dumps(asdict(chunk), ensure_ascii=False).encode() + b"\n")
    stdout.writelines(np.ascontiguousarray(numbers).data for _, numbers in parts)


def _encoded(column: Column) -> tuple[list[str] | None, Any]:
    import numpy as np  # noqa: PLC0415 — after the bound on memory

    from service.tabular.table import is_numeric  # noqa: PLC0415 — as above

    if is_numeric(column):
        return None, column
    cells = column.tolist()
    places = {text: place for place, text in enumerate(dict.fromkeys(cell for cell in cells if cell is not None))}
    codes = (MISSING if cell is None else places[cell] for cell in cells)
    return list(places), np.fromiter(codes, dtype=np.int32, count=len(cells))


def main(arguments: list[str], stdout: BinaryIO) -> None:
    """Confine this process, and write what the file holds."""
    parent, memory, path = arguments
    end_with(int(parent))
    bound_memory(int(memory))
    # The first to go when the memory of all is short.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    from service.tabular.parquet_reader import parquet_chunks  # noqa: PLC0415 — after the bound on memory

    try:
        for chunk in parquet_chunks(Path(path)):
            send(chunk, stdout)
        last: dict[str, Any] = {"error": None}
    except ServiceError as error:
        last = {"error": as_json(error)}
    except MemoryError:
        last = {"error": as_json(OutOfMemory(NOT_ENOUGH))}
    except Exception:  # noqa: BLE001 — a defect is the parent's to tell
        last = {"error": None, "defect": traceback.format_exc()}
    stdout.write(json.dumps(last).encode() + b"\n")
    stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdout.buffer)
