"""Queries, headers and paths."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import strategies as st

from hardening.fuzz.cases import NUMBER, WORD
from hardening.fuzz.valid import MIXED

NAMES = (
    *(
        "iris",
        "iris",
        "iris",
        "breast-cancer",
        MIXED,
        "tiny",
        "nothing",
        "IRIS",
        "..",
        ".",
        "../iris",
        "..%2firis",
        "%2e%2e/iris",
    ),
    *(
        "..%252firis",
        "..\\iris",
        "/etc/passwd",
        "//iris",
        "iris/../iris",
        "iris%00",
        "CON",
        "aux.json",
        "-rf",
        "--help",
        "~",
    ),
    *(
        "$HOME",
        "{{7*7}}",
        "%s%n",
        "a%20b",
        "",
        "a" * 64,
        "a" * 65,
        "a" * 255,
        "a" * 10_000,
        ".hidden",
        "x.tmp",
        "LIVE",
        "versions",
    ),
    *(
        "%EF%BD%98",
        "%E2%80%AE",
        "e%CC%81",
        "%F0%9F%98%80",
        "%0d%0aSet-Cookie:a=b",
        ";id",
        "|id",
        "file:///etc",
        "s3://b/k",
    ),
    *(
        "http://169.254.169.254/",
        "%23/../..",
        "%",
        "%zz",
        "%ff",
        "%C0%AF",
        "iris?",
        "iris#x",
        "iris;x=1",
        "iris%2Fversions%2F1",
    ),
)
VERSIONS = (
    *(
        "1",
        "1",
        "live",
        "live",
        "2",
        "0",
        "-1",
        "1.0",
        "01",
        "latest",
        "1" * 30,
        "999999999",
        "1000000000",
        "%31",
        "+1",
        "1%20",
    ),
    *("", "versions", "..", "Live", "live%00", "shadow", "1e0", "0x1", "٣", "%D9%A3"),
)
VALUES = (
    *(
        "0.5",
        "0",
        "1",
        "0.95",
        "2",
        "-1",
        "NaN",
        "1e400",
        "1e-999",
        "0x1",
        "true",
        "false",
        "True",
        "maybe",
        "",
        "+1",
        ".5",
        "5.",
        "1_0",
    ),
    *(WORD, NUMBER, "%00", "%ff", "%", "0" * 5000 + "1", "%E2%88%9E", "1%201", "[]", "1&threshold=0", "a=b"),
)
OPTIONS = (
    "threshold",
    "explain",
    "interval",
    "limit",
    "after",
    "Threshold",
    "modle",
    "",
    "model",
    "%74hreshold",
    "target",
)
TYPES = (
    *(
        "application/json",
        "application/json",
        "text/csv",
        "text/csv; charset=utf-8",
        "application/x-www-form-urlencoded",
    ),
    *(
        "application/json; charset=utf-16",
        "multipart/form-data",
        "text/plain",
        "application/vnd.api+json",
        "APPLICATION/JSON",
    ),
    *(
        'application/json;charset="UTF-8"',
        "text/csv;header=present",
        "",
        ";",
        "/",
        "application/",
        f"text/{WORD}",
        "*/*",
        "a" * 300,
    ),
    *("application/json, text/csv", "application/json;;;charset=", "text/csv\t", "text/html"),
)
CODINGS = ("gzip", "GZIP", "gzip, gzip", "br", "zstd", "deflate", "identity", "", WORD, "gzip;q=1", " gzip ")
ODD_HEADERS = (
    *(("X-Request-Id", value) for value in ("mine", f"{WORD} b", "x" * 129, "x" * 128, "", "\xe9", "a;b", "{}")),
    *(
        ("Origin", value)
        for value in ("http://127.0.0.1", "null", f"http://{WORD}.example", "http://[", "", "a" * 5000)
    ),
    *(("Sec-Fetch-Site", value) for value in ("same-origin", "none", "cross-site", "same-site", "", WORD)),
    *(("Accept", value) for value in ("text/html", "*/*", "application/json;q=0", WORD, "")),
    *(("Authorization", value) for value in (f"Bearer {WORD}", "Basic Og==", "", "Bearer")),
    *(("Idempotency-Key", value) for value in ("", f"{WORD} a", "k" * 257, "\xe9")),
    *(("If-Match", value) for value in ('"1"', "*", 'W/"1"', f'"{WORD}"', '"' + "9" * 19 + '"', "")),
    *(("X-Request-Timeout", value) for value in ("1", "0", "-1", "NaN", "1e400", WORD, "0.001", "9" * 400)),
    *(
        ("Range", f"bytes={','.join(['0-1'] * 500)}"),
        ("Cookie", f"a={WORD}"),
        ("Expect", "100-continue"),
        ("Expect", WORD),
    ),
    *(
        ("Forwarded", f"for={WORD}"),
        ("X-Forwarded-Prefix", "//evil"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("TE", "trailers"),
    ),
    *(("traceparent", value) for value in (f"00-{'a' * 32}-{'b' * 16}-01", f"00-{WORD}", "", "0" * 500)),
    *(("If-None-Match", "*"), ("Content-Language", "\xff\xfe"), ("Connection", "close"), ("Via", "1.0 " + "x" * 2000)),
)

names = st.sampled_from(NAMES)
raw_names = st.one_of(names, st.text(max_size=12).map(lambda text: quote(text.encode(errors="surrogatepass"))))
references = st.one_of(
    names,
    st.tuples(names, st.sampled_from("@/"), st.sampled_from(VERSIONS)).map("".join),
)
pairs = st.tuples(st.sampled_from(OPTIONS), st.one_of(st.sampled_from(VALUES), references)).map("=".join)
# What cannot stand in the line of a request is left to the mutations.
queries = st.lists(st.one_of(references.map("model={}".format), pairs), max_size=3).map("&".join)
headers = st.lists(st.sampled_from(ODD_HEADERS), max_size=3, unique_by=lambda header: header[0])
