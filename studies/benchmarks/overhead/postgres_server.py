"""A PostgreSQL server of our own: in a temporary folder, on a free port of 127.0.0.1, ended with the program."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

USER, PASSWORD = "me", "top secret"


class NoServer(Exception):
    """There is no PostgreSQL that can be started here, and why."""


@dataclass(frozen=True)
class Server:
    """One that runs. port: of 127.0.0.1."""

    programs: Path
    folder: Path
    port: int

    @property
    def url(self) -> str:
        """Of its only database, with the password in it."""
        return f"postgresql+psycopg://{USER}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop it; by `immediate` as a power failure would."""
        self._control("stop", "-m", mode)

    def _control(self, *arguments: str) -> None:
        _run([str(self.programs / "pg_ctl"), "-D", str(self.folder / "data"), "-w", *arguments])


@contextlib.contextmanager
def private_server() -> Iterator[Server]:
    """One that runs meanwhile. Raises NoServer where none can be started."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="postgres-") as scratch:
        folder = Path(scratch)
        (folder / "password").write_text(PASSWORD)
        if os.getuid() == 0:  # the server will not run as root
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        secret = ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", f"--username={USER}"]
        _run([str(programs / "initdb"), "-D", str(folder / "data"), "--encoding=UTF8", "--no-sync", *secret])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = Server(programs, folder, port)
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):  # it is stopped already
                server.stop()


def _programs() -> Path:
    """The folder of PostgreSQL's programs: on the path, or where Debian has them."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        raise NoServer("there is no PostgreSQL; Debian's package is postgresql")
    if os.getuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            raise NoServer("root cannot run PostgreSQL, and there is no user postgres") from None
    return places[-1]


def _run(command: list[str]) -> None:
    """Run one of its programs, as the user postgres where this one is root."""
    user = "postgres" if os.getuid() == 0 else None
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, user=user, cwd="/")
