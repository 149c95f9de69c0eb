"""Files that are not what their names say: formats that are known by how they begin."""

from __future__ import annotations

PARQUET = "Parquet"
SIGNATURES = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\xfd7zXZ\0": "xz",
    b"BZh91AY&SY": "bzip2",
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"PAR1\x15": PARQUET,
    b"PARE": "encrypted Parquet",
    b"ARROW1\0": "Arrow",
}
LONGEST = max(map(len, SIGNATURES))


def known_format(head: bytes) -> str | None:
    """What a file of these first bytes is, or None; text is none of them."""
    return next((name for signature, name in SIGNATURES.items() if head.startswith(signature)), None)
