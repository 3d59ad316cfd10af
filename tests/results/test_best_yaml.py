"""best.yaml and best.pt, written and read."""

import pytest
import torch
import yaml

import search
from search.errors import UserError
from search.results.best_yaml import VERSION, Best, add_confirmation, read, write

CONTENT = {
    "study": "mine",
    "trial": 3,
    "space": "spaces.mlp",
    "config": {"width": 8, "depth": 1, "dropout": 0.0},
    "epochs": 4,
    "seed": 12345678901,
    "metrics": {"val_loss": 0.1 + 0.2, "gap": 0.1},
    "choice": {"because": "it has the smallest gap", "over": [1, 2]},
    "data": {"channels": 1, "image_size": [8, 8], "classes": ["ä", "b", "c"]},
    "environment": {"torch": "2.10"},
}


@pytest.fixture
def written(tmp_path):
    """The path of a best.yaml with the network that it tells of."""
    network = Best(**CONTENT, build_network=search.spaces.load_space("spaces.mlp").build, weights_file=tmp_path).build()
    write(tmp_path, CONTENT, network.state_dict())
    return tmp_path / "best.yaml"


def test_what_was_written_is_read_to_the_last_digit(written):
    assert read(written) == CONTENT
    best = search.load(written)
    assert {name: getattr(best, name) for name in CONTENT} == CONTENT
    assert best.confirmation is None
    assert {path.name for path in written.parent.iterdir()} == {"best.yaml", "best.pt"}


def test_the_network_comes_back_with_its_weights(written):
    network = search.load(written).trained()
    kept = torch.load(written.with_name("best.pt"), weights_only=True)
    assert not network.training
    assert all(torch.equal(network.state_dict()[name], kept[name]) for name in kept)
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 3)


def test_a_confirmation_is_added_and_nothing_else_changes(written):
    add_confirmation(written, {"test_loss": 0.3})
    assert read(written) == CONTENT | {"confirmation": {"test_loss": 0.3}}
    add_confirmation(written, {"test_loss": 0.4})
    assert search.load(written).confirmation == {"test_loss": 0.4}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "is not YAML: "),
        ("[1, 2]", "is no best.yaml: it has no version"),
        ("trial: 3", "is no best.yaml: it has no version"),
        (yaml.safe_dump({"version": VERSION + 1} | CONTENT), "was written by another version of gapsearch"),
        (yaml.safe_dump({"version": VERSION, "trial": 3, "study": "mine"}), "it lacks choice, config, data, env"),
    ],
)
def test_what_is_no_best_yaml_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "best.yaml"
    path.write_text(content)
    for reader in (read, search.load):
        with pytest.raises(UserError) as caught:
            reader(path)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)


def test_fields_of_nobody_are_refused(written):
    written.write_text(f"{written.read_text()}\nnobodys: 1\n")
    with pytest.raises(UserError, match=r"is no complete best\.yaml: .*nobodys"):
        search.load(written)
