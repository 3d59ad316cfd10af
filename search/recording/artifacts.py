"""Where a search keeps the pictures of its trials: settled at its first start."""

from search.errors import UserError
from search.recording.store import Store
from search.results import artifacts
from search.results.schema import StudyAttribute
from search.settings import Settings


def settle_artifacts(settings: Settings, store: Store) -> None:
    """Have the study say where pictures are kept; a later start goes on there.

    Raises UserError where nothing can be kept there, and where earlier trials have their pictures elsewhere.
    """
    recorded = store.study.user_attrs.get(StudyAttribute.ARTIFACTS)
    url = recorded if settings.artifacts is None else settings.artifacts
    if url != recorded and store.study.get_trials(deepcopy=False):
        raise UserError(
            f"--artifacts is {url} and this search keeps its pictures in {recorded or 'its run folder'}; "
            f"leave it out, or start anew with another --out"
        )
    artifacts.check(settings.folder, url)
    store.describe(StudyAttribute.ARTIFACTS, url)
