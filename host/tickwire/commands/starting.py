"""What an operator sees while the processes of a run start: what is awaited, what is compiled.

In a terminal that is one line, written over again and again; elsewhere a line when something has
changed, and now and then while kernels are compiled.
"""

import shutil
import sys
import time
from typing import Any

PATIENCE_SECONDS = 6.0                     # before an operator is told what takes so long
LINE_SECONDS = 15.0                        # between two lines about the same, but in a terminal
EXPLANATION = ("Still starting: the first time, kernels are compiled for this machine, "
               "which takes a minute or two.")
WAITING = "Still starting: waiting for {}."
_OVER = "\r\x1b[K"                         # to the begin of the line, and nothing on it


class Starting:
    """Tells of a start on standard error, as long as it lasts."""

    def __init__(self) -> None:
        self.compiling: dict[str, tuple[str, int]] = {}    # function, how many, by process
        self._is_terminal = sys.stderr.isatty()
        self._since = self._due = 0.0
        self._told = ""
        self._is_shown = False

    def hear(self, process: str, message: dict[str, Any]) -> None:
        """Take what a process says of its compiler, if it does."""
        if "compiling" in message:
            if not self.compiling:
                self._since = time.monotonic()
            self.compiling[process] = message["compiling"], message["number"]

    def say(self, sentence: str) -> None:
        """Write a sentence of its own."""
        self._clear()
        sys.stderr.write(f"{sentence}\n")

    def show(self, passed: float, awaited: str) -> None:
        """Show what is awaited since ``passed`` seconds, where it is time to."""
        sentence = EXPLANATION if self.compiling else WAITING.format(awaited)
        now = time.monotonic()
        if self._is_terminal:
            if self.compiling or passed > PATIENCE_SECONDS:
                width = shutil.get_terminal_size().columns - 1
                text = self.progress(now) if self.compiling else sentence
                sys.stderr.write(_OVER + text[:width])
                sys.stderr.flush()
                self._is_shown = True
        elif self._told == EXPLANATION:
            if self.compiling and now >= self._due:
                self._write(self.progress(now), now)
        elif passed > PATIENCE_SECONDS and sentence != self._told:
            self._told = sentence
            self._write(sentence, now)

    def progress(self, now: float) -> str:
        """Return what each process compiles, and for how long that goes on."""
        parts = (f"{name} {number} ({function})"
                 for name, (function, number) in self.compiling.items())
        return f"Compiling kernels, once: {', '.join(parts)}, {now - self._since:.0f} s"

    def end(self) -> None:
        """Leave nothing on the terminal: what was awaited is there."""
        self._clear()
        self.compiling.clear()
        self._told = ""

    def _write(self, sentence: str, now: float) -> None:
        sys.stderr.write(f"{sentence}\n")
        self._due = now + LINE_SECONDS

    def _clear(self) -> None:
        if self._is_shown:
            sys.stderr.write(_OVER)
            sys.stderr.flush()
            self._is_shown = False
