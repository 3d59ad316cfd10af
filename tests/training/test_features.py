"""A network whose body is frozen: its features are computed once, kept, and trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from search.data.cache import cache_folder
from search.errors import UserError
from search.training import features as kept
from search.training.evaluate import evaluate
from search.training.features import features_of
from search.training.precision import Precision
from search.training.trainer import Interrupted, Trainer, parameter_groups

CPU = torch.device("cpu")
CONFIG = {"batch_size": 50, "learning_rate": 1e-2, "stages": 0}
pytestmark = pytest.mark.usefixtures("own_cache")


class Counted(nn.Conv2d):
    """A convolution that counts its runs, in all copies."""

    runs = 0

    def forward(self, images):
        Counted.runs += 1
        return super().forward(images)


@pytest.fixture(autouse=True)
def from_zero():
    Counted.runs = 0


class Network(nn.Module):
    """A convolution, frozen where `stages` is 0, and a classifier."""

    def __init__(self, stages=0, start=0.1):
        super().__init__()
        self.body = nn.Sequential(Counted(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten())
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(54, 10))
        self.stages, self.start = stages, start
        self.body.requires_grad_(bool(stages))

    def forward(self, images):
        return self.head(self.body(images))

    def train(self, mode=True):
        super().train(mode)
        self.body.train(mode and bool(self.stages))
        return self

    def load_pretrained(self, mean, std):
        if self.start is None:
            raise OSError("cannot download the weights; put them there")
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.body[0].weight.copy_(torch.randn(6, 1, 3, 3, generator=generator) * 3 * self.start)

    def learning_rate_share(self, name):
        return 0.25 if name.startswith("body") else 1.0

    def frozen_body(self):
        return None if self.stages else self.body


def build(config, *, channels, image_size, classes):
    return Network(config["stages"], config.get("start", 0.1))


def trained(digits, epochs=3, **known):
    known = {"seed": 1, "precision": Precision()} | known
    trainer = Trainer(build, CONFIG | known.pop("config", {}), known.pop("data", digits.to(CPU)), **known)
    return trainer, [trainer.epoch() for _ in range(epochs)]


def files():
    return sorted(path.name for path in cache_folder().glob("features-*/features.npy"))


def test_features_are_those_of_the_body_on_both_splits(digits):
    data, body = digits.to(CPU), Network().eval().body
    found = features_of(body, data, Precision())
    with torch.no_grad():
        for mine, theirs in ((found.train, data.train), (found.val, data.val), (found.probe, data.probe)):
            assert torch.equal(found.pixels(mine).flatten(1), body(data.normalize(data.pixels(theirs))))
            assert torch.equal(found.labels[mine], data.labels[theirs])
    assert len(found.images) == len(data.train) + len(data.val)


def test_features_weigh_classes_as_their_images_do(digits):
    data = replace(digits.to(CPU), class_weights=torch.rand(10), uneven=True)
    found = features_of(Network().eval().body, data, Precision())
    assert (found.class_weights is data.class_weights, found.uneven) == (True, True)


def test_only_the_head_is_run_and_it_learns_as_the_whole_network_does(digits, monkeypatch):
    _, epochs = trained(digits)
    assert Counted.runs == 5  # 600 images, 128 at a time, no more
    monkeypatch.setattr("search.training.trainer.frozen_body", lambda model: None)
    _, others = trained(digits)
    assert Counted.runs > 10
    for one, other in zip(epochs, others, strict=True):
        assert np.allclose(one.val.losses, other.val.losses, atol=1e-4)
        assert np.allclose(one.train.losses, other.train.losses, atol=1e-4)
    assert epochs[-1].val.losses.mean() < epochs[0].val.losses.mean()


def test_the_exported_network_is_what_was_measured(digits):
    trainer, epochs = trained(digits)
    model = Network()
    model.load_state_dict(trainer.weights())
    data = digits.to(CPU)
    assert np.allclose(evaluate(model, data, data.val, Precision()).losses, epochs[-1].val.losses, atol=1e-5)


def test_a_later_training_finds_them_and_gives_the_same_digits(digits):
    _, first = trained(digits)
    _, second = trained(digits)
    assert Counted.runs == 5
    assert len(files()) == 1
    assert all(np.array_equal(a.val.losses, b.val.losses) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"start": 0.2}},  # other weights
        {"precision": Precision(bf16=True)},
        {"data": "splits"},
        {"data": "fingerprint"},
    ],
)
def test_others_are_computed_for_other_weights_images_and_splits(digits, change):
    if "data" in change:
        other = (
            {"splits": replace(digits.splits, val=np.arange(5))} if "split" in change["data"] else {"fingerprint": "x"}
        )
        change = {"data": replace(digits, **other).to(CPU)}
    trained(digits, epochs=0)
    trained(digits, epochs=0, **change)
    assert len(files()) == 2


@pytest.mark.parametrize("config", [{"augmentation": 0.1}, {"stages": 1}])
def test_nothing_is_kept_where_images_or_body_change(digits, config):
    trained(digits, epochs=1, config=config)
    assert Counted.runs == 8 + 2 + 2  # steps, batches of the train probe, of the validation split
    assert files() == []


def test_images_without_a_fingerprint_are_not_kept(digits):
    trained(digits, epochs=1, data=replace(digits.to(CPU), fingerprint=None))
    assert files() == []


def test_a_damaged_file_is_made_anew(digits):
    _, first = trained(digits, epochs=1)
    (path,) = cache_folder().glob("features-*/features.npy")
    path.write_bytes(path.read_bytes()[:1000])
    _, second = trained(digits, epochs=1)
    assert Counted.runs == 10
    assert np.array_equal(first[0].val.losses, second[0].val.losses)


def test_where_nothing_can_be_kept_they_are_computed(digits, monkeypatch):
    def refuse(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(kept, "replace_file", refuse)
    assert np.isfinite(trained(digits, epochs=1)[1][0].val.losses).all()


def test_computing_them_can_be_interrupted(digits):
    with pytest.raises(Interrupted):
        trained(digits, interrupted=lambda: True)
    assert files() == []


def test_weights_that_cannot_be_had_are_one_line(digits):
    with pytest.raises(UserError, match="cannot download the weights; put them there"):
        trained(digits, config={"start": None})


def test_groups_have_their_shares_of_the_learning_rate(digits):
    groups = parameter_groups(Network(stages=1), 0.5)
    assert [(group["share"], group["weight_decay"], len(group["params"])) for group in groups] == [
        *((0.25, 0.5, 1), (0.25, 0.0, 3)),
        *((1.0, 0.5, 1), (1.0, 0.0, 1)),
    ]
    trainer, _ = trained(digits, epochs=2, config={"stages": 1})
    assert [group["lr"] for group in trainer.optimizer.param_groups] == pytest.approx([2.5e-3, 2.5e-3, 1e-2, 1e-2])


def test_what_is_not_trained_stays_as_it_was(digits):
    trainer, _ = trained(digits, epochs=2)
    fresh = Network()
    fresh.load_pretrained(None, None)
    for name, value in trainer.weights().items():
        if name in ("body.0.weight", "body.1.running_mean", "body.1.weight"):
            assert torch.equal(value, fresh.state_dict()[name])
    assert not torch.equal(trainer.weights()["head.2.weight"], fresh.state_dict()["head.2.weight"])
