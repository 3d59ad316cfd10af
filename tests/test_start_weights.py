"""Which weights a search begins with: what tells them apart, and the copy in the run folder."""

from pathlib import Path

import pytest

from search import start_weights
from search.errors import UserError
from search.settings import Settings
from search.spaces import suggester
from search.start_weights import KEPT, beginning_with, for_timing
from spaces import pretrained


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"weights")
    return tmp_path / "mine.pth"


def test_weights_are_told_apart_by_content(file):
    before = start_weights.fingerprint(str(file))
    copy = file.with_name("copy.pth")
    copy.write_bytes(file.read_bytes())
    assert start_weights.fingerprint(str(copy)) == before
    file.write_bytes(b"others")
    assert start_weights.fingerprint(str(file)) not in (before, None, "none")
    assert [start_weights.fingerprint(weights) for weights in (None, "published", "none")] == [None, None, "none"]


def test_a_search_compares_with_itself_only_with_the_same_weights(file):
    def compared(weights):
        return Settings("s", "digits", space="pretrained", weights=weights).comparable("ab", 8, 40, 20, False)

    assert compared(None) == compared("published")
    assert len({str(compared(weights)["weights"]) for weights in (None, "none", str(file))}) == 3


def test_a_missing_file_is_one_line():
    with pytest.raises(UserError, match=r"cannot read --weights no\.pth: No such file or directory; name a file, or"):
        start_weights.fingerprint("no.pth")


def test_a_file_is_kept_in_the_run_folder_and_nothing_else_is(file, tmp_path):
    folder = tmp_path / "run"
    for weights in (None, "published", "none"):
        start_weights.keep(weights, folder)
        assert not folder.exists()
    start_weights.keep(str(file), folder)
    assert (folder / KEPT).read_bytes() == b"weights"
    start_weights.keep(str(folder / KEPT), folder)  # as another start may name it
    assert (folder / KEPT).read_bytes() == b"weights"


def test_a_configuration_names_the_copy_and_its_network_reads_it_where_it_lies():
    def build(config, **image):
        return config["weights"], image

    build = beginning_with(build, Path("run") / KEPT)
    assert build({"weights": KEPT}, channels=3) == (f"run/{KEPT}", {"channels": 3})
    assert build({"weights": "none"}, channels=3) == ("none", {"channels": 3})
    assert for_timing({"weights": KEPT, "stages": 1}) == {"weights": "none", "stages": 1}
    assert for_timing({"weights": "published"}) == {"weights": "published"}
    assert pretrained.WEIGHTS_FILE == KEPT
    assert (pretrained.PUBLISHED, pretrained.NONE) == (start_weights.PUBLISHED, start_weights.NONE)


def test_spaces_without_pretrained_networks_refuse_weights():
    with pytest.raises(UserError, match=r"--weights is for a space of pretrained networks, and spaces\.cnn is none"):
        suggester("spaces.cnn", {}, "none")


def test_what_cannot_be_fetched_is_one_line(file):
    with pytest.raises(UserError, match=r"mine\.pth holds no weights; take a file that torchvision publishes"):
        start_weights.fetch("spaces.pretrained", str(file))
    start_weights.fetch("spaces.cnn", None)
