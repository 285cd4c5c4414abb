"""The page of folders, served to this computer alone and made anew while their runs go on. Nothing is written there."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from vgexp.config import ConfigError, named
from vgexp.results import STATUSES, TABLES, ResultsError, folder_status

LOOPBACK = "127.0.0.1"


def server(folders: Sequence[Path], make: Callable[[], str], port: int) -> ThreadingHTTPServer:
    """A server of `/`, the page as `make` gives it, and `/state`, how far the folders are; port 0 is any free one.

    Raises ConfigError for a port that cannot be had.
    """
    page = _Page(folders, make)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers = {"/": (page.text, "text/html"), "/state": (page.state, "application/json")}
            if self.headers.get("Host", "").rpartition(":")[0] not in (LOOPBACK, "localhost"):
                return self.send_error(403)  # another site's page that has its name point here
            path = self.path.partition("?")[0]  # what a query says of the page, the page itself reads
            if path not in answers:
                return self.send_error(404)
            answer, kind = answers[path]
            try:
                content = answer().encode()
            except Exception as error:  # whatever became of the folders meanwhile: the next time it may be well
                print(f"vgexp: {path}: {named(error)}", file=sys.stderr)
                return self.send_error(500, explain=named(error))
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            with suppress(ConnectionError):  # a reader that went away
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        return ThreadingHTTPServer((LOOPBACK, port), Handler)
    except (OSError, OverflowError):
        raise ConfigError("--port", port, "a port that is free, or 0 for any") from None


class _Page:
    """The page as it was last made, and of which state of the folders it is."""

    def __init__(self, folders: Sequence[Path], make: Callable[[], str]) -> None:
        self._folders, self._make, self._lock = folders, make, Lock()
        self._stamp, self._text = "", ""

    def text(self) -> str:
        with self._lock:
            stamp = self.stamp()
            if stamp != self._stamp:
                self._text, self._stamp = self._make(), stamp
            return self._text

    def state(self) -> str:
        """`stamp`, which changes when the tables do, and how many runs are done, running, failed and missing."""
        counts, steps = Counter[str](), 0
        for folder in self._folders:
            try:
                runs = folder_status(folder).runs
            except ResultsError:
                continue
            counts.update(run.status for run in runs)
            steps += sum(run.step or 0 for run in runs)
        return json.dumps({"stamp": self.stamp(), "steps": steps, "runs": {name: counts[name] for name in STATUSES}})

    def stamp(self) -> str:
        """Of all tables: how many files there are, and when the newest was written."""
        written = [
            path.lstat().st_mtime_ns
            for folder in self._folders
            for name in TABLES
            for path in (folder / name).glob("part-*.parquet")
        ]
        return f"{len(written)} {max(written, default=0)}"
