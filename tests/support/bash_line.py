"""An interactive bash at a pseudo-terminal, to see what it makes of a line when a completion is asked for."""
from __future__ import annotations

import os
import pty
import signal
import threading
from pathlib import Path

from support import wait


class BashLine:
    """|environment| is all that it has. Keys are readline's own; one more writes the line to a file."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._dumped = directory / "line"
        self._output = bytearray()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"],
                       {**environment, "TERM": "dumb", "INPUTRC": "/dev/null", "HISTFILE": ""})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.run("bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; "
                 f"""bind -x '"\\C-xd": printf %s "$READLINE_LINE" >line.new; mv line.new {self._dumped}'""")

    # A terminal whose output nobody takes blocks who writes to it.
    def _read(self) -> None:
        try:
            while chunk := os.read(self._terminal, 65536):
                self._output += chunk
        except OSError:
            pass

    def output(self) -> str:
        return bytes(self._output).decode(errors="replace")

    def _press(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def run(self, command: str, timeout: float = 40.0) -> None:
        """Until |command| has ended."""
        self._press(f"{command}; touch {self._dumped}\n")
        wait.until(self._dumped.exists, what=f"bash runs {command}: {self.output()[-500:]}", timeout=timeout)
        self._dumped.unlink()

    def enter(self, line: str, keys: str, timeout: float = 40.0) -> str:
        """The line after |line| was typed and |keys| were pressed. It is not run."""
        self._press(f"{line}{keys}\x18d")
        wait.until(self._dumped.exists, what=f"bash completes {line}", timeout=timeout)
        text = self._dumped.read_text()
        self._dumped.unlink()
        self._press("\x05\x15")
        return text

    def completed(self, line: str) -> str:
        """As Tab leaves it: what all completions have in common, or the only one and a space."""
        return self.enter(line, "\t")

    def inserted(self, line: str) -> str:
        """With all completions in it, in the place of the last word."""
        return self.enter(line, "\x1b*")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self._reader.join(5)
        os.close(self._terminal)
