"""Checkpoints of running trials where every machine of a search reaches them: a shared folder, or an fsspec URL."""

from dataclasses import dataclass

import fsspec

from search.errors import UserError, described


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one study. It can be sent to other machines."""

    url: str  # of the folder: a path, or what fsspec knows, such as s3://bucket/folder
    study: str  # identity of the study, since others may share the place

    def check(self) -> None:
        """Raise UserError where nothing can be kept there."""
        try:
            self.write("check", b"")
            self.remove("check")
        except OSError as error:
            missing = self.url.startswith("s3://") and isinstance(error.__cause__, ImportError)
            remedy = "pip install 'gapsearch[s3]'" if missing else "name a folder or an fsspec URL"
            raise UserError(
                f"no checkpoint can be kept in --checkpoints {self.url}: {error.strerror}; {remedy}"
            ) from error

    def write(self, name: str, content: bytes) -> None:
        """Keep a checkpoint in place of the one before it, which stays until then. Raises OSError."""
        try:
            files, path = self._place(name)
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            files.pipe_file(f"{path}.new", content)
            files.mv(f"{path}.new", path)
        except Exception as error:  # of whatever library the URL needs
            raise OSError(None, described(error)) from error

    def read(self, name: str) -> bytes | None:
        """A checkpoint; None where there is none, or it cannot be had: then a trial begins anew."""
        try:
            files, path = self._place(name)
            return bytes(files.cat_file(path))
        except Exception:
            return None

    def remove(self, name: str) -> None:
        """Remove a checkpoint, if there is one. Raises OSError."""
        try:
            files, path = self._place(name)
            if files.exists(path):
                files.rm_file(path)
        except Exception as error:
            raise OSError(None, described(error)) from error

    def _place(self, name: str) -> tuple[fsspec.AbstractFileSystem, str]:
        files, folder = fsspec.core.url_to_fs(self.url)
        return files, f"{folder.rstrip('/')}/{self.study}-{name}"
