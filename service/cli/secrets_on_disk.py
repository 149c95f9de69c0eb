"""What is looked at before the service binds its address: the key file, the certificate and its private key."""

from __future__ import annotations

import ssl
import stat
import sys
from pathlib import Path

from service.errors import InvalidSettings
from service.settings import Settings, variable
from service.web.keys.key_ring import KeyRing

ANYONE = stat.S_IROTH | stat.S_IWOTH
# OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED.
OUT_OF_DATE = {9: "is not valid yet", 10: "has expired"}


def check_secrets(chosen: Settings) -> None:
    """Raise InvalidSettings for a key file or a certificate that cannot be used; warn of secrets that all can read."""
    if chosen.api_keys_file:
        KeyRing(Path(chosen.api_keys_file))
        warn_of_others("api_keys_file", chosen.api_keys_file)
    if chosen.tls_key and not chosen.tls_cert:
        raise InvalidSettings("LOGITD_TLS_KEY is set without LOGITD_TLS_CERT; set both, or neither")
    if chosen.tls_cert:
        check_certificate(chosen)
        holds_key = "tls_key" if chosen.tls_key else "tls_cert"
        warn_of_others(holds_key, chosen.tls_key or chosen.tls_cert)


def warn_of_others(setting: str, path: str) -> None:
    """One line on standard error when every user of this machine can read or write the file."""
    if Path(path).stat().st_mode & ANYONE:
        print(f"warning: every user can read or write the file of {variable(setting)}; chmod 600 it", file=sys.stderr)


def check_certificate(chosen: Settings) -> None:
    """Raise InvalidSettings unless certificate and key can be read, belong together and are valid today."""
    for setting, path in (("tls_cert", chosen.tls_cert), ("tls_key", chosen.tls_key)):
        if path:
            check_readable(setting, path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # With an empty password OpenSSL does not ask the terminal for one.
        server.load_cert_chain(chosen.tls_cert, chosen.tls_key or None, password="")
        client.load_verify_locations(chosen.tls_cert)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None)
        why = "do not belong together" if reason == "KEY_VALUES_MISMATCH" else "are not PEM, or the key has a password"
        raise InvalidSettings(f"LOGITD_TLS_CERT and LOGITD_TLS_KEY {why}") from None
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    problem = OUT_OF_DATE.get(verdict(server, client))
    if problem:
        raise InvalidSettings(f"the certificate of LOGITD_TLS_CERT {problem}; renew it")


def check_readable(setting: str, path: str) -> None:
    """Raise InvalidSettings unless the file can be opened."""
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise InvalidSettings(f"{variable(setting)}: the file cannot be read: {error.strerror}") from None


def verdict(server: ssl.SSLContext, client: ssl.SSLContext) -> int:
    """OpenSSL's code for the server's certificate, 0 when a client that trusts it accepts it: a handshake in memory.

    The standard library reads the dates of a certificate only where a client verifies it.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return getattr(error, "verify_code", 0)
    return 0
