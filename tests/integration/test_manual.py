"""The manual pages say what the programs do: commands, options, signals, and configurations that are valid."""
from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from support import manual
from support.agent import AgentConfig, check_config, control_path, daemon_path
from support.case import MeshTest

# Handled for the agent's own sake (its child at a soft restart, the time of hooks) or by a sanitizer.
_INTERNAL = {signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


class ManualTest(MeshTest):
    needs_haproxy = False

    def test_stickmeshctl_has_the_commands_of_help(self) -> None:
        daemon = self.start_agent(AgentConfig())
        usages = manual.usages(daemon.ask("help"))
        self.assertIn("set limit NAME N|shadow|enforce|config", usages)
        self.assertEqual(manual.tags(manual.section(manual.page("stickmeshctl.1"), "COMMANDS")), usages)
        for usage in usages:
            words = [word for word in usage.split() if word.islower() and word.isalpha()]
            # Without what most of them need, so that nothing is changed.
            if words != ["reload"]:
                self.assertNotIn("is no command", daemon.ask(" ".join(words[:2])), usage)
        told = {" ".join(usage.split()[:2]): usage for usage in usages}
        for command in ("set table", "clear table", "set limit", "set peer", "forget peer"):
            self.assertIn(told[command], daemon.ask(f"{command} a b c"), command)
        self.assertIn(told["whatif TABLE"], daemon.ask("whatif a"))

    def test_the_pages_have_the_options_of_the_programs(self) -> None:
        for page, program in (("stickmeshctl.1", control_path()), ("stickmeshd.8", daemon_path())):
            text = manual.section(manual.page(page), "OPTIONS")
            said = [tuple(word for word in tag.replace(",", " ").split() if word.startswith("-"))
                    for tag in manual.tags(text)]
            self.assertEqual(sorted(said), sorted(manual.options(program)), page)
            self.assertIn(manual.default(program), text)

    def test_stickmeshd_has_the_signals_that_it_handles(self) -> None:
        process = self.start_agent(AgentConfig()).process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text()
        (caught,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt:"))
        handled = {number.name for number in signal.Signals
                   if caught >> (number - 1) & 1 and number not in _INTERNAL and number < signal.SIGRTMIN}
        tags = manual.tags(manual.section(manual.page("stickmeshd.8"), "SIGNALS"))
        self.assertEqual({name for tag in tags for name in tag.split(", ")}, handled)

    def test_the_examples_are_valid_configurations(self) -> None:
        made = subprocess.run([manual.ROOT / "packaging/man/make-config-page", manual.ROOT / "conf/examples/full.toml"],
                              capture_output=True, text=True, check=True, timeout=20).stdout
        (service,) = manual.examples(manual.section(manual.page("stickmeshd.8"), "SERVICES"))
        self.assertIn("/run/stickmesh-NAME/", service)
        (small,) = manual.examples(manual.section(made, "EXAMPLE"))
        for example in (service, small):
            code, output = check_config(example, self.directory)
            self.assertEqual(code, 0, output)
        self.assertNotIn("refused", output)
