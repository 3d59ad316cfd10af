"""What is refused before a search starts."""

import time

import pytest
import torch

from search.checks.corners import MOST_POINTS, check_corners, corners
from search.errors import UserError
from search.spaces import BUILT_IN, load_space, suggester

LINEAR = """
def build(config, *, channels, image_size, classes):
    from torch import nn
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], classes))
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a file into the current folder, an empty one; returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(code, name="mine.py"):
        (tmp_path / name).write_text(code)
        return name

    return write


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_spaces_pass_quickly(name):
    suggest = load_space(f"spaces.{name}").suggest
    started = time.process_time()
    check_corners(f"spaces.{name}", suggest, (3, 32, 32), 10)
    assert time.process_time() - started < (20 if name == "pretrained" else 2)  # torchvision's import and networks


def test_a_network_is_built_once_for_all_that_training_alone_reads(write):
    name = write(
        """
built = []
def suggest(trial):
    config = {"units": trial.suggest_int("units", 1, 3), "more": trial.suggest_float("more", 0.1, 1.0)}
    return config | {name: trial.suggest_float(name, 0.1, 1.0) for name in ("learning_rate", "weight_decay")}
def build(config, *, channels, image_size, classes):
    from torch import nn
    built.append((config["units"], config["more"] if config["units"] == 3 else None))
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""
    )
    check_corners(name, suggester(name, {}), (1, 8, 8), 10)
    # all in the middle and all low, at which `more` does not matter; then all high, and nothing new after that but
    # the size of those aside from the middle is looked at first
    assert load_space(name).built == [(2, None), (1, None), (1, None), (3, 1.0), (3, 1.0), (3, 0.55), (3, 0.55)]


def test_large_networks_are_not_computed(write):
    name = write(
        """
import torch
def suggest(trial): return {"units": trial.suggest_int("units", 100, 300_000)}
class Net(torch.nn.Sequential):
    def forward(self, images):
        assert images.is_meta == (self[1].out_features == 300_000)
        return super().forward(images)
def build(config, *, channels, image_size, classes):
    from torch import nn
    units = 200 if config["units"] == 150_050 else config["units"]
    return Net(nn.Flatten(), nn.Linear(64, units), nn.Linear(units, classes))
"""
    )
    check_corners(name, suggester(name, {}), (1, 8, 8), 10)


def test_which_corners():
    def suggest(trial):
        config = {
            "a": trial.suggest_int("a", 1, 9, step=2),
            "b": trial.suggest_float("b", 1e-4, 1.0, log=True),
            "c": trial.suggest_categorical("c", ["x", "y", "z"]),
            "one": trial.suggest_int("one", 4, 4),
        }
        return config | ({"extra": trial.suggest_int("extra", 0, 10)} if config["c"] == "z" else {})

    seen = [tuple(point.config.values()) for point in corners(suggest)]
    middle, b = (5, "y", 4), pytest.approx(1e-2)
    assert seen[:3] == [(5, b, "y", 4), (1, 1e-4, "x", 4), (9, 1.0, "z", 4, 10)]
    assert sorted(map(str, seen[3:10])) == sorted(
        str(tuple(values))
        for values in [
            (1, seen[0][1], *middle[1:]),
            (9, seen[0][1], *middle[1:]),
            (5, 1e-4, *middle[1:]),
            (5, 1.0, *middle[1:]),
            (5, seen[0][1], "x", 4),
            (5, seen[0][1], "y", 4),
            (5, seen[0][1], "z", 4, 5),
        ]
    )
    assert seen[10:] == [(9, 1.0, "z", 4, 0), (9, 1.0, "z", 4, 10)]


def test_corners_are_bounded():
    def suggest(trial):
        return {str(number): trial.suggest_float(str(number), 0, 1) for number in range(500)}

    assert len(list(corners(suggest))) == MOST_POINTS


KERNELS = """
from torch import nn

def suggest(trial):
    return {
        "width": trial.suggest_int("width", 2, 8),
        "kernel_size": trial.suggest_int("kernel_size", 3, 7, step=2),
        "depth": trial.suggest_int("depth", 1, 3),
    }

def build(config, *, channels, image_size, classes):
    (height, width), k, filters = image_size, config["kernel_size"], config["width"]
    # more
    layers = [nn.Conv2d(channels, filters, k), nn.Conv2d(filters, filters, 3)]  # k = 7 leaves 2 of 8 pixels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(filters * (height - k - 1) * (width - k - 1), classes))
"""
FIVE = "return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, 5))"
NAN = FIVE.replace("5)", "classes), nn.Threshold(99, float('nan'))")
TRAINING = """class Net(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1))[:, : 5 if self.training else 10]
    return Net(channels * height * width, classes)"""
FIVE_OF_TEN = "for 2 images and 10 classes the network returned a tensor of shape (2, 5), not (2, 10)"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ("", "with kernel_size=7: RuntimeError: "),
        ("k = 3 if config['depth'] < 3 else k", "with kernel_size=7 and depth=3: RuntimeError"),
        (f"k = 3\n    if filters == 8: {FIVE}", f"with width=8: {FIVE_OF_TEN}"),
        (f"k = 3\n    if config['depth'] == 2: {FIVE}", f"with depth=2: {FIVE_OF_TEN}"),
        (f"k = 3\n    if config['depth'] == 1: {NAN}", "with depth=1: the network returned logits that are not finite"),
        (FIVE, f"whatever its parameters: {FIVE_OF_TEN}"),
        (TRAINING, f"whatever its parameters: {FIVE_OF_TEN}"),
        ("k = k.size", "whatever its parameters: AttributeError: 'int' object has no attribute 'size' (mine.py:13)"),
        ("return nn.LazyLinear(classes)", "whatever its parameters: the network has lazy layers"),
        ("return 'net'", "whatever its parameters: build returned a str"),
        ("return nn.MaxPool2d(2, return_indices=True)", "whatever its parameters: the network returned a tuple"),
    ],
)
def test_the_culprit_is_named(more, where, write):
    space = write(KERNELS.replace("# more", more))
    with pytest.raises(UserError) as caught:
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)
    assert str(caught.value).startswith(f"the space mine.py does not work for 8x8x1 images {where}")
    assert "\n" not in str(caught.value)


def returning(entries, reading="", output="nn.Linear(channels * image_size[0] * image_size[1], classes)"):
    return f"""
from torch import nn

def suggest(trial):
    width, kind = trial.suggest_int("width", 1, 9), trial.suggest_categorical("kind", ["a", "b", "c"])
    return {{"width": width, "kind": kind, {entries}}}

def build(config, *, channels, image_size, classes):
    config["width"], config["kind"]
    {reading}
    return nn.Sequential(nn.Flatten(), {output})
"""


@pytest.mark.parametrize(
    ("entries", "reading", "listed"),
    [
        ("'lr': 0.1", "", "lr (did you mean learning_rate?)"),
        ("'wd': 0.1, 'foo': 1", "", "wd (did you mean weight_decay?) and foo"),
        ("'batchsize': 8, 'batch_size': 8", "", "batchsize"),  # it has that one
        ("'filter': 8", "config.get('filters', 16)", "filter (did you mean filters?)"),
        ("'filter': 8", "config['filters'] if 'filters' in config else 8", "filter (did you mean filters?)"),
    ],
)
def test_what_nothing_reads_is_refused_with_the_likely_name(write, entries, reading, listed):
    space = write(returning(entries, reading))
    with pytest.raises(UserError) as caught:
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)
    assert str(caught.value).startswith(
        f"nothing reads {listed}, which suggest of the space mine.py returns; rename it"
    )


@pytest.mark.parametrize("choices", ["[[8, 16], [16, 32]]", "[(8,), (16,)]", "[None, {'rate': 1}]"])
def test_choices_that_optuna_does_not_keep_are_refused(write, choices):
    space = write(returning(f"'widths': trial.suggest_categorical('widths', {choices})", "config['widths']"))
    with pytest.raises(UserError, match=r"draws widths from choices such as .*; Optuna keeps numbers, strings, "):
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)


def test_plain_choices_are_let_be(write):
    space = write(returning("'of': trial.suggest_categorical('of', [None, True, 2, 0.5, 'x'])", "config['of']"))
    check_corners(space, suggester(space, {}), (1, 8, 8), 10)


H, OTHER_H = "trial.suggest_categorical('h', [8, 16])", "trial.suggest_categorical('h', [16, 32])"
WHOLE, LOG = "trial.suggest_int('h', 8, 16)", "trial.suggest_int('h', 8, 16, log=True)"


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        (H, OTHER_H, ("the choices [16, 32]", "the choices [8, 16]")),
        (H, "trial.suggest_categorical('h', [16, 8])", ("the choices [16, 8]", "the choices [8, 16]")),
        (WHOLE, "trial.suggest_float('h', 8, 16)", ("numbers", "whole numbers")),
        (WHOLE, LOG, ("whole numbers on a log scale", "whole numbers")),
        (WHOLE, H, ("the choices [8, 16]", "whole numbers")),
        (H, H, None),
        (WHOLE, "trial.suggest_int('h', 2, 40)", None),
        (LOG, "trial.suggest_int('h', 2, 40, log=True)", None),
        (WHOLE, "trial.suggest_int('h', 8, 16, step=2)", None),
        (H, OTHER_H.replace("'h'", "'h_2'"), None),
    ],
)
def test_a_name_stands_for_one_kind_and_one_list_of_choices(write, one, other, kinds):
    space = write(returning(f"'h': {one} if width == 1 else {other}", "config['h']"))
    if kinds is None:
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)
        return
    with pytest.raises(UserError) as caught:
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)
    assert str(caught.value) == (
        f"the space mine.py draws h from {kinds[0]} in one branch and from {kinds[1]} in another; Optuna takes one of "
        f"these by a name: call it h_2 in one of the branches"
    )


@pytest.mark.parametrize(
    ("entries", "reading"),
    [
        ("'learning_rate': 0.1, 'weight_decay': 0.1, 'batch_size': 8, 'augmentation': 0.5", ""),  # by training
        ("'foo': 1", "config.get('foo')"),
        ("'foo': 1", "config.setdefault('foo', 2)"),
        ("'foo': 1", "(lambda foo, **rest: foo)(**config)"),
        ("'foo': 1", "dict(config)"),
        ("'foo': 1", "config | {}"),
        ("'foo': 1", "__import__('copy').deepcopy(config)"),
        ("'foo': 1", "__import__('json').dumps(config)"),
        ("'foo': 1", "config['kind'] == 'c' and config['foo']"),  # beside some values of another alone
        ("'foo': 1", "config['kind'] == 'c' and config['width'] == 2 and config['foo']"),  # at no corner
    ],
)
def test_what_is_read_somewhere_is_let_be(write, entries, reading):
    space = write(returning(entries, reading))
    check_corners(space, suggester(space, {}), (1, 8, 8), 10)


def test_a_network_may_read_its_configuration_as_it_runs(write):
    class_ = "type('Late', (nn.Flatten,), {'forward': lambda self, x: (config['foo'], x.flatten(1))[1]})()"
    space = write(returning("'foo': 1", output=f"{class_}, nn.Linear(64, classes)"))
    check_corners(space, suggester(space, {}), (1, 8, 8), 10)


@pytest.mark.parametrize(("last", "fine"), [("Softmax(1)", False), ("LogSoftmax(1)", True), ("ReLU()", True)])
def test_probabilities_are_no_logits(write, last, fine):
    space = write(returning("", output=f"nn.Linear(64, classes), nn.{last}"))
    if fine:
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)
        return
    with pytest.raises(UserError, match="whatever its parameters: the network returned probabilities, as after"):
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)


def test_an_exit_in_build_is_an_error_of_the_space(write):
    space = write(returning("", reading="if config['width'] == 9: exit(3)"))
    with pytest.raises(UserError, match=r"with width=9: SystemExit: 3 \(mine.py:10\); narrow that range"):
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)


def test_training_parameters_are_checked(write):
    space = write("def suggest(trial): return {'augmentation': trial.suggest_float('augmentation', 0, 2)}\n" + LINEAR)
    with pytest.raises(UserError, match=r"with augmentation=2: augmentation is 2\.0; it must be a number from 0 to 1"):
        check_corners(space, suggester(space, {}), (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("space", "batches", "fine"),
    [("mlp", (1, 8), False), ("mlp", (2, 8), True), ("cnn", (1, 8), True)],  # of its maps cnn norms 16 pixels
)
def test_a_step_of_one_image_is_tried_where_the_space_has_one(space, batches, fine):
    name, ranges = f"spaces.{space}", {"batch_size": batches}
    if fine:
        check_corners(name, suggester(name, ranges), (1, 8, 8), 10)
        return
    with pytest.raises(UserError) as caught:
        check_corners(name, suggester(name, ranges), (1, 8, 8), 10)
    assert "images with batch_size=1: ValueError: Expected more than 1 value per channel when" in str(caught.value)
    assert str(caught.value).endswith("; narrow that range, or mend build")


def test_networks_for_large_images_are_not_computed(write):
    space = write(
        """
import torch
def suggest(trial): return {"width": trial.suggest_int("width", 1, 9)}
class Net(torch.nn.Linear):
    def forward(self, images):
        assert images.is_meta or self.width == 5
        return super().forward(images.flatten(1))
def build(config, *, channels, image_size, classes):
    net = Net(channels * image_size[0] * image_size[1], classes)
    net.width = config["width"]
    return net
"""
    )
    check_corners(space, suggester(space, {}), (1, 100, 100), 10)
    with pytest.raises(UserError, match="with width=1: AssertionError"):
        check_corners(space, suggester(space, {}), (1, 60, 60), 10)


def test_networks_that_need_numbers_get_them(write):
    space = write(
        """
import torch
def suggest(trial): return {"width": trial.suggest_int("width", 1, 9)}
class Net(torch.nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1) / self.weight.max().item())
def build(config, *, channels, image_size, classes):
    config["width"]
    return Net(channels * image_size[0] * image_size[1], classes)
"""
    )
    check_corners(space, suggester(space, {}), (1, 100, 100), 10)


def test_corners_that_a_space_turns_down_are_left_out(write):
    name = write(
        """
import optuna
def suggest(trial):
    config = {"units": trial.suggest_int("units", 1, 5), "layers": trial.suggest_int("layers", 1, 5)}
    if config["units"] * config["layers"] > LIMIT:
        raise optuna.TrialPruned
    return config
"""
        + LINEAR.replace("from torch import nn", "from torch import nn; config['units'], config['layers']")
        + "\nLIMIT = 10"
    )
    suggest = suggester(name, {})
    assert [tuple(point.params.values()) for point in corners(suggest)] == [(3, 3), (1, 1), (1, 3), (3, 1)]
    check_corners(name, suggest, (1, 8, 8), 10)
    load_space(name).LIMIT = 0
    with pytest.raises(UserError, match="suggest turns down all parameters in the middle of their ranges, all"):
        check_corners(name, suggest, (1, 8, 8), 10)


def test_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_corners("spaces.mlp", load_space("spaces.mlp").suggest, (1, 8, 8), 10)
    assert torch.rand(1) == expected
