"""The local Yahoo's certificate authority, and the certificate for Yahoo's hosts. Both are made with `openssl`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

_DAYS = "30"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_AUTHORITY = """\
[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = stockstream local Yahoo
[extensions]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
_SITE = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = yahoo.com
[extensions]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:yahoo.com, DNS:*.yahoo.com, DNS:*.finance.yahoo.com
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class CertificateError(Exception):
    """The certificates could not be made."""


class Certificates(msgspec.Struct, frozen=True):
    """Files in PEM format."""

    authority: Path
    """The certificate that a client must trust."""
    certificate: Path
    key: Path


def in_directory(directory: Path) -> Certificates:
    """The certificates of a directory. Those of an earlier run are used again, and new ones are made if they expire.

    Raises `CertificateError`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    certificates = Certificates(directory / "ca.pem", directory / "yahoo.pem", directory / "yahoo.key")
    if not _is_valid(certificates):
        _make(directory)
    return certificates


def _is_valid(certificates: Certificates) -> bool:
    if not all(path.exists() for path in (certificates.authority, certificates.certificate, certificates.key)):
        return False
    command = ["openssl", "x509", "-checkend", "86400", "-noout", "-in", str(certificates.certificate)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _make(directory: Path) -> None:
    (directory / "ca.conf").write_text(_AUTHORITY)
    (directory / "yahoo.conf").write_text(_SITE)
    _openssl(
        directory,
        *("req", "-x509", *_KEY, "-days", _DAYS, "-config", "ca.conf", "-keyout", "ca.key", "-out", "ca.pem"),
    )
    _openssl(directory, "req", *_KEY, "-config", "yahoo.conf", "-keyout", "yahoo.key", "-out", "yahoo.csr")
    _openssl(
        directory,
        *("x509", "-req", "-in", "yahoo.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", _DAYS),
        *("-extfile", "yahoo.conf", "-extensions", "extensions", "-out", "yahoo.pem"),
    )


def _openssl(directory: Path, *arguments: str) -> None:
    try:
        done = subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CertificateError(
            "openssl is not on the PATH: install it, or the local Yahoo has no certificate"
        ) from error
    if done.returncode != 0:
        raise CertificateError(f"openssl {arguments[0]} failed: {done.stderr.strip()}")
