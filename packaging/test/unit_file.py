"""Unit files as systemd reads them, as far as our units and HAProxy's go."""
from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

_FOLDERS = ("etc/systemd/system", "lib/systemd/system")
_SPAN = re.compile(r"(\d+)\s*(us|ms|s|sec|min|m|h)?")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float:
    """`1min 30s`, `250ms`, `infinity`; a bare number is seconds."""
    if text == "infinity":
        return float("inf")
    if _SPAN.sub("", text).strip():
        raise ValueError(f"'{text}' is no span of time")
    return sum(int(number) * _UNITS[unit] for number, unit in _SPAN.findall(text))


def path_of(root: Path, name: str) -> Path | None:
    """The file of a unit, or that of its template."""
    names = [name] + [re.sub(r"@.*\.", "@.", name)] * ("@" in name)
    for file_name in names:
        for folder in _FOLDERS:
            # Not `exists`: a unit may be masked by a link to /dev/null, or linked to a place outside of the root.
            if os.path.lexists(root / folder / file_name):
                return root / folder / file_name
    return None


class UnitFile:
    """The settings of one unit with its drop-ins. Each is a list of what was assigned; an empty one starts anew."""

    def __init__(self, root: Path, name: str) -> None:
        found = path_of(root, name)
        if found is None:
            raise LookupError(f"Unit {name} could not be found.")
        self.path = found
        self.name = name
        self.masked = os.path.realpath(found) == "/dev/null"
        self._values: dict[str, list[str]] = {}
        if not self.masked:
            self._read(found)
            for drop_in in sorted(root.glob(f"etc/systemd/system/{name}.d/*.conf")):
                self._read(drop_in)

    def _read(self, path: Path) -> None:
        for line in path.read_text().replace("\\\n", " ").splitlines():
            key, assigned, value = line.strip().partition("=")
            if not assigned or key.startswith(("#", ";")):
                continue
            values = self._values.setdefault(key.strip(), [])
            if value.strip():
                values.append(self._expanded(value.strip()))
            else:
                values.clear()

    def _expanded(self, value: str) -> str:
        stem = self.name.rpartition(".")[0]
        known = {"%%": "%", "%i": stem.partition("@")[2], "%n": self.name, "%N": stem, "%p": stem.partition("@")[0]}
        return re.sub("%.", lambda match: known[match[0]], value)

    def all(self, key: str) -> list[str]:
        return self._values.get(key, [])

    def words(self, key: str) -> list[str]:
        return [word for value in self.all(key) for word in shlex.split(value)]

    def last(self, key: str, default: str = "") -> str:
        return (self.all(key) or [default])[-1]

    def span(self, key: str, default: str) -> float:
        return seconds(self.last(key, default))
