"""Published networks with a classifier of their own; the weights here are random ones that the tests make."""

import contextlib
import itertools
from pathlib import Path

import optuna
import pytest
import torch
from torch import nn

from search.checks.corners import corners
from spaces import pretrained
from spaces.pretrained import NAMES, NONE, PUBLISHED, WEIGHTS_FILE

torchvision_models = pytest.importorskip("torchvision.models")
CONFIG = {"backbone": "resnet18", "weights": NONE, "stages": 2, "dropout": 0.1, "backbone_rate": 0.1}
ZERO, ONE = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)


def network(shape=(3, 32, 32), device="meta", **changes):
    with torch.device(device):
        return pretrained.build(CONFIG | changes, channels=shape[0], image_size=shape[1:], classes=7)


def published(name, folder):
    """A file as torchvision publishes it, with random weights and statistics of batch norm; and the network."""
    torch.manual_seed(1)
    model = torchvision_models.get_model(name)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
    torch.save(model.state_dict(), folder / f"{name}.pth")
    return str(folder / f"{name}.pth"), model.eval()


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    return published("resnet18", tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    return published("mobilenet_v3_small", tmp_path_factory.mktemp("weights"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 40, 224), (1, 300, 200)])
def test_any_image_becomes_logits(name, shape):
    model = network(shape, backbone=name)
    assert model(torch.empty(2, *shape, device="meta")).shape == (2, 7)


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_is_in_a_stage_and_each_stage_trains_more(name):
    def trained(stages):
        model = network(backbone=name, stages=stages)
        return {key for key, parameter in model.named_parameters() if parameter.requires_grad}

    sets = [trained(stages) for stages in range(5)]
    assert sets[0] == {"head.2.weight", "head.2.bias"}
    assert all(fewer < more for fewer, more in itertools.pairwise(sets))
    assert sets[4] == {key for key, _ in network(backbone=name).named_parameters()}


@pytest.mark.parametrize("stages", [-1, 5])
def test_there_are_four_stages(stages):
    with pytest.raises(ValueError, match=f"stages is {stages}; it must be from 0 to 4"):
        network(stages=stages)


def test_what_is_not_trained_stays_in_eval_mode():
    model = network(stages=1).train()
    layers = model.body.layers
    modes = {name: layers.get_submodule(name).training for name in ("bn1", "layer3.0.bn1", "layer4.0.bn1")}
    assert modes == {"bn1": False, "layer3.0.bn1": False, "layer4.0.bn1": True}
    assert not any(module.training for module in model.eval().modules())


@pytest.mark.parametrize("channels", [1, 3])
def test_it_sees_what_the_published_network_sees(mobilenet, channels):
    """Of images normalized by the study it makes what torchvision's own network makes with its own statistics."""
    file, whole = mobilenet
    features = {}
    whole.classifier[3].register_forward_hook(lambda layer, inputs, output: features.update(seen=inputs[0]))
    pixels = torch.rand(2, channels, 96, 96)
    mean, std = torch.full((1, channels, 1, 1), 0.3), torch.full((1, channels, 1, 1), 0.2)
    published = torchvision_models.get_model_weights("mobilenet_v3_small").IMAGENET1K_V1.transforms()
    normalize = [torch.tensor(value).view(1, 3, 1, 1) for value in (published.mean, published.std)]
    model = network((channels, 96, 96), "cpu", backbone="mobilenet_v3_small", weights=file).eval()
    model.load_pretrained(mean, std)
    with torch.no_grad():
        whole((pixels.expand(-1, 3, -1, -1) - normalize[0]) / normalize[1])
        seen = model.body((pixels - mean) / std)
    assert torch.allclose(seen, features["seen"], atol=1e-5)
    assert torch.equal(model((pixels - mean) / std), model.head(seen))


@pytest.mark.parametrize(
    ("size", "enlarged"), [((8, 8), (96, 96)), ((32, 64), (96, 192)), ((95, 100), (96, 101)), ((96, 300), (96, 300))]
)
def test_small_images_are_enlarged(size, enlarged):
    assert pretrained._enlarged(size) == enlarged


def test_weights_are_loaded_when_training_begins_and_not_before(resnet):
    file, whole = resnet
    model = network((1, 8, 8), "cpu", weights=file)
    assert not torch.equal(model.body.layers.conv1.weight, whole.conv1.weight)
    model.load_pretrained(torch.full((1, 1, 1, 1), 0.3), torch.full((1, 1, 1, 1), 0.2))
    assert torch.equal(model.body.layers.conv1.weight, whole.conv1.weight)
    taken = network((1, 8, 8), "cpu", weights="not there")  # as from best.pt
    taken.load_state_dict(model.state_dict())
    assert taken.body.mean.item() == pytest.approx(0.3)


def test_random_weights_stay_as_they_are():
    model = network(device="cpu")
    before = model.body.layers.conv1.weight.clone()
    model.load_pretrained(ZERO, ONE)
    assert torch.equal(model.body.layers.conv1.weight, before)


def test_the_backbone_has_a_share_of_the_learning_rate():
    model = network()
    shares = {name: model.learning_rate_share(name) for name, _ in model.named_parameters()}
    assert shares["body.layers.layer4.1.conv2.weight"] == shares["body.layers.bn1.bias"] == 0.1
    assert shares["head.2.weight"] == shares["head.2.bias"] == 1.0


@pytest.mark.parametrize(("stages", "frozen"), [(0, True), (1, False), (4, False)])
def test_the_body_is_frozen_where_no_stage_is_trained(stages, frozen):
    model = network(stages=stages)
    assert (model.frozen_body() is model.body) == frozen


def drawn(weights, count=30):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [pretrained.suggest(study.ask(), weights=weights) for _ in range(count)]


def test_without_weights_every_stage_is_trained():
    assert all(config["stages"] == 4 and "backbone_rate" not in config for config in drawn(NONE))


def test_a_classifier_alone_sees_images_as_they_are():
    configs = drawn(PUBLISHED)
    alone = [config for config in configs if config["stages"] == 0]
    assert 0 < len(alone) < len(configs)
    assert all(config["augmentation"] == 0 and "backbone_rate" not in config for config in alone)
    assert all(config["augmentation"] > 0 and config["backbone_rate"] < 1 for config in configs if config["stages"])
    assert {config["backbone"] for config in configs} == set(NAMES)


def test_a_file_decides_on_the_backbone(resnet, mobilenet):
    for (file, _), name in ((resnet, "resnet18"), (mobilenet, "mobilenet_v3_small")):
        assert pretrained.backbone_of(file) == name
        assert {(config["backbone"], config["weights"]) for config in drawn(file)} == {(name, WEIGHTS_FILE)}


def test_another_network_is_not_taken_for_one_of_these(tmp_path):
    torch.save(torchvision_models.resnet34().state_dict(), tmp_path / "34.pth")
    with pytest.raises(ValueError, match=r"34\.pth holds the weights of none of resnet18, mobilenet_v3_small, "):
        pretrained.fetch(str(tmp_path / "34.pth"))


@pytest.mark.parametrize(("content", "said"), [(b"garbage", "holds no weights;"), (None, "cannot read the weights")])
def test_a_file_without_weights(tmp_path, content, said):
    file = tmp_path / "file"
    if content:
        file.write_bytes(content)
    model = network((3, 32, 32), "cpu", weights=str(file))
    with pytest.raises((OSError, ValueError), match=said):
        model.load_pretrained(ZERO, ONE)


def test_weights_of_another_network_do_not_fit(mobilenet):
    with pytest.raises(ValueError, match="these weights do not fit resnet18: "):
        network(device="cpu", weights=mobilenet[0]).load_pretrained(ZERO, ONE)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """torch's folder of downloads, and no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_a_failed_download_names_the_file_and_where_to_put_it(hub):
    with pytest.raises(OSError, match="cannot download the weights of resnet18") as caught:
        pretrained.fetch()
    said = str(caught.value)
    assert "no route to host" in said
    assert "put the file https://download.pytorch.org/models/resnet18-f37072fd.pth into " + str(hub) in said
    assert said.endswith("or take --weights FILE or --weights none")


def test_published_weights_come_from_where_torch_keeps_them(hub, resnet):
    """Its own check of the hash is for what it downloads."""
    file, whole = resnet
    (hub / "resnet18-f37072fd.pth").write_bytes(Path(file).read_bytes())
    model = network(device="cpu", weights=PUBLISHED)
    model.load_pretrained(ZERO, ONE)
    assert torch.equal(model.body.layers.conv1.weight, whole.conv1.weight)


def test_building_needs_no_network(hub):
    for point in corners(pretrained.suggest):
        with contextlib.suppress(StopIteration):
            network(**{key: value for key, value in point.config.items() if key in CONFIG})
            break


def test_every_named_start_is_drawn_as_it_is():
    from search.recording.start import first_trials
    from search.settings import Settings

    named = [trial.params for trial in first_trials(Settings("s", "digits", space="pretrained"), pretrained.suggest)]
    assert named == pretrained.start()


def test_images_of_two_channels_are_refused():
    with pytest.raises(ValueError, match="images have 2 channels; the published networks take 1 or 3"):
        network((2, 8, 8))
