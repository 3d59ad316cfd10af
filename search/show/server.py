"""The Optuna dashboard of one run folder, on this machine alone."""

import contextlib
import errno
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from search.errors import UserError
from search.results.storage import open_storage, storage_url

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"  # the dashboard has no password
LOCAL = (HOST, "localhost", "::1")  # names of this machine

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]  # WSGI's


class Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once, and does not wait for them when it ends."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """Does not print each request."""

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def serve(folder: Path, storage: str | None, port: int) -> None:
    """Serve the dashboard until Ctrl-C. Raises UserError where there is no search, or the port cannot be had."""
    from optuna_dashboard import wsgi

    from search.results.artifacts import artifact_store, recorded_url

    with open_storage(storage_url(folder, storage)) as database:
        pictures = artifact_store(folder, recorded_url(database.get_all_studies(), folder))
        dashboard = wsgi(database, artifact_store=pictures)
        with _server(local_only(dashboard), port) as server:
            logger.info(f"{folder}: http://{HOST}:{server.server_port}/dashboard/  (Ctrl-C ends it)")
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()


def _server(application: Application, port: int) -> WSGIServer:
    try:
        return make_server(HOST, port, application, server_class=Server, handler_class=Quiet)
    except (OSError, OverflowError) as error:
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        reason = "is taken, by another dashboard perhaps" if taken else f"cannot be had ({error})"
        raise UserError(f"port {port} {reason}; name another one with --port") from error


def local_only(application: Application) -> Application:
    """Refuse requests under any other name than this machine's: a web page could get at the study under its own."""

    def guarded(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401
        if urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname in LOCAL:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"this dashboard answers to 127.0.0.1 and localhost only\n"]

    return guarded
