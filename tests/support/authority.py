"""Certificates for tests, made by the openssl program when they are needed: nothing that can run out lies in the
repository."""
from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A certificate authority in |directory|, and what it has signed."""

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory / name
        self._directory.mkdir()
        self.certificate = self._directory / "ca.pem"
        self._key = self._directory / "ca.key"
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate, "-subj", f"/CN={name}",
                 "-days", "2")

    def issue(self, *names: str, file: str | None = None, days: int = 1) -> Path:
        """A file with a certificate that carries |names|, and its key: the form that HAProxy's `crt` takes."""
        base = self._directory / (file or "-".join(names))
        request, key, certificate = (base.with_suffix(suffix) for suffix in (".csr", ".key", ".crt"))
        extensions = base.with_suffix(".ext")
        extensions.write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=of no importance")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-days", str(days),
                 "-extfile", extensions, "-out", certificate)
        both = base.with_suffix(".pem")
        both.write_text(certificate.read_text() + key.read_text())
        return both


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)
