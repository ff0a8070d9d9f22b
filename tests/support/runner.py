"""Runs the integration tests: each in a process and a process group of its own, so that one that hangs can be ended
with all it started, and a few side by side. What cannot run is printed with its reason."""
from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Iterator

from support import agent, haproxy

_PASSED, _FAILED, _NOT_RUN = 0, 1, 77
_REASON = "not run: "
_CAUSE = re.compile(r"^Traceback .*\n(?: .*\n)*(.+)|^(ended: .+)", re.MULTILINE)
# Whoever adds up the whole run's output must not count a test's own summary as well.
_UNITTEST_SUMMARY = re.compile(r"Ran \d+ tests? in|FAILED \(|OK$")


@dataclasses.dataclass
class Outcome:
    name: str
    code: int
    seconds: float
    output: str

    @property
    def reason(self) -> str:
        lines = [line for line in self.output.splitlines() if line.startswith(_REASON)]
        return lines[-1][len(_REASON):] if lines else "no reason given"

    @property
    def causes(self) -> list[str]:
        """What a failed test raised, without the traces and logs around it."""
        return [match[match.lastindex or 0] for match in _CAUSE.finditer(self.output)]


def main(folder: Path, program: Path) -> int:
    options = _options()
    if options.one:
        return _run_one(folder, options.one)
    tests = [test for test in _discover(folder) if _wanted(test.id(), options.names)]
    if options.list:
        print("\n".join(test.id() for test in tests))
        return 0
    if not tests:
        print("no test has such a name")
        return 1
    code = 0
    for index, path in enumerate(_binaries()):
        # Tests without HAProxy need not be repeated for each version.
        chosen = [test for test in tests if index == 0 or getattr(test, "needs_haproxy", True)]
        code |= _run_all(chosen, path, program, options)
    if reason := agent.missing():
        print(f"{reason}: {'as asked' if options.without_daemon else 'most tests could not run'}")
        code |= 0 if options.without_daemon else 1
    return code


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Integration tests with real HAProxy. HAPROXY_BINARIES (paths, colon-separated) runs them once for "
        "each; STICKMESHD and STICKMESHCTL name the programs under test.")
    parser.add_argument("names", nargs="*", help="parts of test names; all when left out")
    # They mostly wait, for what takes HAProxy its time.
    parser.add_argument("-j", "--jobs", type=int, default=4 * (os.cpu_count() or 1),
                        help="tests side by side (default: four for each processor)")
    parser.add_argument("-v", "--verbose", action="store_true", help="also show what passing tests print")
    parser.add_argument("--list", action="store_true", help="print the names of the tests and stop")
    parser.add_argument("--without-daemon", action="store_true", help="a daemon that is not built is no failure")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _binaries() -> list[str | None]:
    listed = [path for path in os.environ.get("HAPROXY_BINARIES", "").split(":") if path]
    return listed or [haproxy.binary()]


def _wanted(name: str, parts: list[str]) -> bool:
    return not parts or any(part in name for part in parts)


def _discover(folder: Path) -> list[unittest.TestCase]:
    suite = unittest.TestLoader().discover(str(folder), pattern="test_*.py", top_level_dir=str(folder.parent))
    return list(_flatten(suite))


def _flatten(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from _flatten(item)
        else:
            yield item


def _run_all(tests: list[unittest.TestCase], path: str | None, program: Path, options: argparse.Namespace) -> int:
    print(f"== {_describe(path)}; {len(tests)} tests", flush=True)
    together = [test for test in tests if not getattr(test, "alone", False)]
    alone = [test for test in tests if getattr(test, "alone", False)]
    outcomes: list[Outcome] = []
    start = time.monotonic()
    for group, jobs in ((together, max(1, options.jobs)), (alone, 1)):
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            for outcome in pool.map(lambda test: _spawn(test, path, program), group):
                outcomes.append(outcome)
                _report(outcome, options.verbose)
    return _summary(outcomes, time.monotonic() - start)


def _describe(path: str | None) -> str:
    return "no haproxy found" if path is None else f"{haproxy.version_line(path)} ({path})"


def _spawn(test: unittest.TestCase, path: str | None, program: Path) -> Outcome:
    """Runs one test in its own process group, which is ended with the test."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if path is not None:
        env["STICKMESH_TEST_HAPROXY"] = path
    limit = getattr(test, "seconds", 60)
    start = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        child = subprocess.Popen([sys.executable, str(program), "--one", test.id()], stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True)
        try:
            code = child.wait(limit)
        except subprocess.TimeoutExpired:
            code = _FAILED
            output.write(f"\nended: not done after {limit} s\n")
        _end_group(child)
        output.seek(0)
        return Outcome(test.id(), code, time.monotonic() - start, output.read())


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """The test was the leader of its group, so this reaches what it left behind and nothing else."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(8)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait()


def _report(outcome: Outcome, verbose: bool) -> None:
    if outcome.code == _PASSED:
        print(f"passed   {outcome.name} ({outcome.seconds:.1f} s)", flush=True)
    elif outcome.code == _NOT_RUN:
        print(f"not run: {outcome.name}: {outcome.reason}", flush=True)
    else:
        print(f"FAILED   {outcome.name} ({outcome.seconds:.1f} s)", flush=True)
    if verbose or outcome.code not in (_PASSED, _NOT_RUN):
        lines = [line for line in outcome.output.splitlines() if not _UNITTEST_SUMMARY.match(line)]
        print("    " + "\n    ".join(lines).rstrip(), flush=True)


def _summary(outcomes: list[Outcome], seconds: float) -> int:
    """Also in unittest's words, which tests/run counts."""
    failed = [outcome for outcome in outcomes if outcome.code not in (_PASSED, _NOT_RUN)]
    not_run = [outcome for outcome in outcomes if outcome.code == _NOT_RUN]
    for outcome in failed:
        # Once more, since of a long log often only the end is at hand.
        print(f"failed: {outcome.name}" + "".join(f"\n    {cause[:400]}" for cause in outcome.causes))
    print(f"Ran {len(outcomes)} tests in {seconds:.1f}s")
    print(f"{'FAILED' if failed else 'OK'} (failures={len(failed)}, skipped={len(not_run)})")
    print(f"{len(outcomes) - len(failed) - len(not_run)} passed, {len(failed)} failed, {len(not_run)} not run")
    return _FAILED if failed else _PASSED


def _run_one(folder: Path, name: str) -> int:
    """In the child: runs the test |name| and says through the exit code what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_FAILED))  # so that what is registered at exit runs
    suite = unittest.TestSuite(test for test in _discover(folder) if test.id() == name)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(suite)
    if not result.wasSuccessful() or result.testsRun == 0:
        return _FAILED
    if result.skipped:
        print(_REASON + result.skipped[0][1])
        return _NOT_RUN
    return _PASSED
