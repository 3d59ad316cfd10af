"""Where the pictures of trials are kept: in the run folder, or in a bucket of an S3-compatible store."""

import contextlib
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from optuna.artifacts import Boto3ArtifactStore, FileSystemArtifactStore
from optuna.artifacts.exceptions import ArtifactNotFound

from search.errors import UserError
from search.results.schema import StudyAttribute

if TYPE_CHECKING:
    from optuna.study._frozen import FrozenStudy

BUCKET = re.compile(r"s3://([\w.-]{3,255})(?:/([\w./=-]*))?", re.ASCII)
# A search waits while a picture is uploaded: at most for two attempts
WAITING: dict[str, Any] = {
    "connect_timeout": 5,
    "read_timeout": 10,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}


class BucketStore(Boto3ArtifactStore):
    """What lies in a bucket, below a prefix. Its errors are OSErrors without a password."""

    def __init__(self, bucket: str, prefix: str, client: Any) -> None:  # noqa: ANN401
        super().__init__(bucket, client)
        self._prefix = prefix

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Raises ArtifactNotFound, or OSError."""
        with _told():
            return super().open_reader(self._prefix + artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Raises OSError."""
        with _told():
            super().write(self._prefix + artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        """Raises OSError."""
        with _told():
            super().remove(self._prefix + artifact_id)


def bucket_of(url: str) -> tuple[str, str]:
    """`s3://bucket/a/b` -> ("bucket", "a/b/").

    Raises UserError where it is none, with keys in it perhaps: so it is not repeated.
    """
    found = BUCKET.fullmatch(url)
    if found is None:
        raise UserError(
            "--artifacts is no s3://BUCKET or s3://BUCKET/PREFIX; keys and the address of the store come from "
            "AWS_PROFILE and AWS_ENDPOINT_URL"
        )
    prefix = (found[2] or "").strip("/")
    return found[1], f"{prefix}/" if prefix else ""


def artifact_store(folder: Path, url: str | None) -> FileSystemArtifactStore | BucketStore:
    """The place at `url`, or that in the run folder where it is None. Nothing is sent yet.

    Raises UserError where the URL, or what boto3 is set to, makes no sense.
    """
    if url is None:
        return FileSystemArtifactStore(str(folder / "artifacts"))
    bucket, prefix = bucket_of(url)
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise UserError(f"--artifacts {url} needs boto3, which is not installed: pip install 'gapsearch[s3]'") from None
    try:
        return BucketStore(bucket, prefix, boto3.client("s3", config=Config(**WAITING)))
    except Exception as error:  # of a profile that is not there, and the like
        raise UserError(f"--artifacts {url} cannot be had: {_cause(error)}; see to boto3's settings") from None


def check(folder: Path, url: str | None) -> None:
    """Raise UserError where no picture can be kept at `url`."""
    store = artifact_store(folder, url)
    if isinstance(store, BucketStore):
        try:
            store.write("check", io.BytesIO())
            store.remove("check")
        except OSError as error:
            raise UserError(
                f"no picture can be kept in --artifacts {url}: {error}; see to the bucket, AWS_PROFILE and "
                f"AWS_ENDPOINT_URL, or leave it out"
            ) from None


def recorded_url(studies: Iterable["FrozenStudy"], folder: Path) -> str | None:
    """Where the study of a run folder has its pictures, of all studies in its database; None for the run folder."""
    known = [study.user_attrs for study in studies]
    own = [attributes for attributes in known if attributes.get(StudyAttribute.FOLDER) == str(folder.resolve())]
    urls = {attributes.get(StudyAttribute.ARTIFACTS) for attributes in own or known}  # a run folder may have been moved
    return urls.pop() if len(urls) == 1 else None


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ArtifactNotFound:
        raise
    except Exception as error:  # of boto3, botocore and what they rest on
        raise OSError(_cause(error)) from None


def _cause(error: Exception) -> str:
    """One line; an endpoint's URL without a password in it."""
    return re.sub(r"[^\s\"]*@", "***@", (str(error).splitlines() or [type(error).__name__])[0])
