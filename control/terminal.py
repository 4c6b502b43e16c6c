"""What the user sees of long work: one line a step, kept up to date on a terminal."""

import sys
import threading
import time
from types import TracebackType

_WIDTH = 100  # columns of the live line


class Step:
    """One line of progress, as a context manager: its title, what it is doing, how long it took."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.result = ""
        self._detail = ""
        self._started = time.monotonic()
        self._live = sys.stdout.isatty()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Step":
        if self._live:
            self._draw()
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        mark = "✔" if error is None else "✘"
        self._print(f"{mark} {self.title}  {self.result}  {self.seconds:.1f} s\n")

    @property
    def seconds(self) -> float:
        """How long the step has taken."""
        return time.monotonic() - self._started

    def now(self, detail: str) -> None:
        """Say what the step is doing."""
        self._detail = detail
        if self._live:
            self._draw()

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._print(f"  {text}\n")

    def _draw(self) -> None:
        self._print(f"▸ {self.title} ({self.seconds:.0f} s) {self._detail}"[:_WIDTH])

    def _print(self, text: str) -> None:
        with self._lock:
            print(f"\r\033[K{text}" if self._live else text, end="", flush=True)

    def _tick(self) -> None:
        while not self._ended.wait(1):
            self._draw()
