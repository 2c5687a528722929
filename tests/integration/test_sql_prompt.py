"""The prompt of `sql`, as a person meets it in a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from workspace.places import ROOT

PATIENCE = 20.0
PROMPT = "stockstream> "
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]")
PROGRAM = (
    "import sys; from pathlib import Path; from analytics import cli; cli.HISTORY = Path(sys.argv.pop(1)); "
    "cli.app(prog_name='sql')"
)


class Terminal:
    """A program in a terminal of its own, of 80 columns and 24 lines."""

    def __init__(self, command: list[str], **variables: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "LESS")}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=ROOT,
            env={**environment, "TERM": "xterm", **variables},
            stdin=slave,
            stdout=slave,
            stderr=slave,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        self._read = ""
        self._seen = 0

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def new(self) -> str:
        """What was printed since the last `wait_for`."""
        with suppress(OSError):  # a terminal that its last program has left cannot be read
            while chunk := os.read(self._master, 65_536):
                self._read += _ESCAPES.sub("", chunk.decode(errors="replace")).replace("\r", "")
        return self._read[self._seen :]

    def wait_for(self, text: str) -> str:
        """Wait until a text is printed, and return what was printed before it and since the last call."""
        wait_until(lambda: text in self.new(), f"{text!r} in {self.new()!r}", seconds=PATIENCE)
        printed, _, _ = self.new().partition(text)
        self._seen += len(printed) + len(text)
        return printed

    def ask(self, line: str) -> str:
        """Type a line and return what is printed until the next prompt."""
        self.type(f"{line}\n")
        return self.wait_for(PROMPT)

    def end(self) -> int:
        """Wait until the program has ended, and return its status."""
        wait_until(lambda: self.new() is not None and self.process.poll() is not None, "the end", seconds=PATIENCE)
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._master)


Open = Callable[..., Terminal]


@pytest.fixture
def sql(replica_python: str, tmp_path: Path) -> Iterator[Open]:
    """Opens prompts over an empty archive, with the same history."""
    opened: list[Terminal] = []
    (tmp_path / "raw-data").mkdir()

    def start(*arguments: str, **variables: str) -> Terminal:
        command = [replica_python, "-c", PROGRAM, str(tmp_path / "history"), "sql", "--archive", str(tmp_path)]
        opened.append(Terminal([*command, *arguments], **variables))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def test_the_prompt_says_how_to_leave_and_leaves(sql: Open, tmp_path: Path) -> None:
    terminal = sql()
    assert "help shows more. exit or Ctrl-D leaves." in terminal.wait_for(PROMPT)
    assert "exit, quit" in terminal.ask("help")
    assert "exit, quit" in terminal.ask("?")
    assert terminal.ask("\\x").endswith("error: there is no command \\x: `help` lists the commands\n")
    assert "1 more statement did not run" in terminal.ask("select 1 as one; selec 2; select 4711;")
    assert " 4711 " in terminal.ask("SELECT\n4711;")
    terminal.type("select 1\n")
    terminal.wait_for("...> ")
    terminal.type("exit\n")
    assert "drop it with Ctrl-C" in terminal.wait_for("...> ")
    terminal.type("\x03")
    terminal.wait_for(PROMPT)
    terminal.type("EXIT;\n")
    assert terminal.end() == 0
    second = sql()
    second.wait_for(PROMPT)
    second.type("\x1b[A\x1b[A\n")  # two lines up is `exit` within a statement
    assert second.end() == 0
    third = sql()
    third.wait_for(PROMPT)
    third.type("\x04")
    assert third.end() == 0
    history = tmp_path / "history"
    assert history.read_text().splitlines()[-3:] == ["exit", "EXIT;", "exit"]
    assert history.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_cancels_a_query_and_drops_a_line_and_keeps_the_prompt(sql: Open) -> None:
    terminal = sql()
    terminal.wait_for(PROMPT)
    terminal.type("select count(*) from range(1000000000000) as t (i) where hash(i) = 1;\n")
    terminal.wait_for("= 1;\n")
    time.sleep(0.2)  # it may or may not run already: both must do
    terminal.type("\x03")
    assert "cancelled" in terminal.wait_for(PROMPT)
    terminal.type("half a line\x03")
    assert "cancelled" not in terminal.wait_for(PROMPT)
    assert " 42 " in terminal.ask("select 42;")


def test_ctrl_c_ends_the_command_with_one_line(sql: Open) -> None:
    terminal = sql("select 1; select count(*) from range(1000000000000) as t (i) where hash(i) = 1; select 4711")
    terminal.wait_for("1 row")
    terminal.type("\x03")
    assert terminal.end() == 130
    assert "".join(terminal.new().split()) in ("interrupted", "^Cinterrupted")


@pytest.mark.parametrize("wide", [True, False])
def test_what_does_not_fit_goes_through_the_pager(sql: Open, tmp_path: Path, *, wide: bool) -> None:
    terminal = sql(PAGER=f"sh -c 'cat > {tmp_path}/paged; echo pager'")
    terminal.wait_for(PROMPT)
    assert "pager" not in terminal.ask("select 1;")
    assert "pager" in terminal.ask("select repeat('x', 100) as a;" if wide else "from range(30);")
    paged = (tmp_path / "paged").read_text().splitlines()
    assert paged[-1] == ("1 row" if wide else "30 rows")
    assert all(len(line) == len(paged[0]) for line in paged[:-1])


def test_less_takes_ctrl_c_and_the_prompt_comes_back(sql: Open) -> None:
    terminal = sql(PAGER="less")
    terminal.wait_for(PROMPT)
    terminal.type("from range(1000);\n")
    terminal.wait_for("│ range │")
    terminal.type("\x03")
    terminal.wait_for("\a")  # less beeps, and goes on
    terminal.wait_for("\n:")
    terminal.type("q")
    terminal.wait_for(PROMPT)
    assert " 42 " in terminal.ask("select 42;")


@pytest.mark.parametrize("pager", ["", "cat", "no-such-pager"])
def test_without_a_pager_a_wide_result_has_a_line_for_each_value(sql: Open, pager: str) -> None:
    terminal = sql("select " + ", ".join(f"{number} as column_{number}" for number in range(20)), PAGER=pager)
    assert terminal.end() == 0
    printed = terminal.new()
    assert ("the pager no-such-pager does not start" in printed) == (pager == "no-such-pager")
    assert re.search(r"row 1\n  column_0   0\n(.*\n)*  column_19  19\n1 row", printed)


def test_tab_completes_names(sql: Open) -> None:
    terminal = sql(PAGER="")
    terminal.wait_for(PROMPT)
    assert "0 rows" in terminal.ask("select num\t from corp\t;")
