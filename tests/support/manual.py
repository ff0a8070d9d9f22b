"""What the manual pages and the programs themselves say that there is."""
from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "packaging/man" / name).read_text()


def section(text: str, title: str) -> str:
    """What stands below .SH |title|."""
    return re.split(r"^\.SH ", text.split(f"\n.SH {title}\n", 1)[1], flags=re.M)[0]


def _plain(words: str) -> str:
    """A line of roff without its fonts."""
    macro, _, rest = words.partition(" ")
    if macro in (".B", ".I"):
        words = " ".join(shlex.split(rest.replace("\\", "\\\\")))
    elif macro in (".BI", ".BR", ".IR", ".RB"):
        words = "".join(shlex.split(rest.replace("\\", "\\\\")))
    return re.sub(r"\\f.", "", words).replace("\\-", "-")


def tags(text: str) -> list[str]:
    """What the paragraphs of a section are about."""
    return [_plain(tag) for tag in re.findall(r"^\.TP\n(.*)$", text, re.M)]


def examples(text: str) -> list[str]:
    return [re.sub(r"\\f.", "", example).replace("\\-", "-")
            for example in re.findall(r"^\.EX\n(.*?)^\.EE$", text, re.M | re.S)]


def usages(help_text: str) -> list[str]:
    """The commands of the agent's `help`, with their words."""
    return [re.split(r"\s{2,}", line)[0] for line in help_text.splitlines() if line[:1].strip()]


def options(program: str) -> list[tuple[str, str]]:
    """Short and long form, of what `--help` shows."""
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True, timeout=20)
    found = re.findall(r"^ +(-\w),(--[\w-]+)", done.stdout, re.M)
    if not found:
        raise LookupError(f"no options in: {done.stdout}")
    return found


def default(program: str) -> str:
    """Of its one option that has one."""
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True, timeout=20)
    (path,) = re.findall(r"=(/\S+)", done.stdout)
    return path
