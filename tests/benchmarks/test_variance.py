"""The split of the variance of losses, and what comes from tables with several seeds."""

import json

import numpy as np
import pytest

from studies.benchmarks.choice import variance, weights
from studies.benchmarks.choice.variance import Components, Seeds, components, jackknife, load_seeds


def simulated(truth, rng, configurations=12, seeds=4, images=150):
    """Losses with these components."""
    c, s, n = configurations, seeds, images

    def effect(value, *shape):
        return rng.normal(0, np.sqrt(value), shape)

    return (
        2
        + effect(truth.configuration, c, 1, 1)
        + effect(truth.seed, c, s, 1)
        + effect(truth.image, 1, 1, n)
        + effect(truth.configuration_image, c, 1, n)
        + effect(truth.seed_image, c, s, n)
    )


@pytest.mark.parametrize(
    "truth",
    [
        Components(0.04, 0.01, 1.0, 0.3, 0.2),
        Components(0.0, 0.02, 0.5, 0.0, 0.4),
        Components(0.03, 0.0, 0.0, 0.5, 0.1),
    ],
)
def test_the_components_of_simulated_losses_are_found_without_bias(truth):
    found = [components(simulated(truth, np.random.default_rng(number))) for number in range(60)]
    for name in variance.EFFECTS:
        values = np.array([getattr(one, name) for one in found])
        assert abs(values.mean() - getattr(truth, name)) < 3.5 * values.std() / np.sqrt(60) + 1e-12, name


def test_a_case_worked_by_hand():
    """Two configurations, two seeds, two images: every mean square has one or two degrees of freedom.

    Effects: configuration -1, +1; seeds -2, +2 in the first and -1, +1 in the second; images -3, +3; nothing else.
    MS configuration = 2*2*2 / 1 = 8; MS seed = 2 * (4 + 4 + 1 + 1) / 2 = 10; MS image = 4 * 18 / 1 = 72; the others 0.
    """
    config, seed, image = np.array([-1, 1]), np.array([[-2, 2], [-1, 1]]), np.array([-3, 3])
    losses = 5.0 + config[:, None, None] + seed[:, :, None] + image
    found = components(losses)
    assert found == Components(
        configuration=pytest.approx((8 - 10) / 4),
        seed=pytest.approx(10 / 2),
        image=pytest.approx(72 / 4),
        configuration_image=pytest.approx(0),
        seed_image=pytest.approx(0),
    )
    assert found.of_mean(10) == {
        "configuration": pytest.approx(-0.5),
        "seed": pytest.approx(5),
        "image": pytest.approx(1.8),
        "configuration_image": pytest.approx(0),
        "seed_image": pytest.approx(0),
    }


def test_what_suits_a_configuration_on_an_image_stays_with_it_and_what_suits_a_seed_does_not():
    cell = np.array([[1.0, -1.0], [-1.0, 1.0]])  # MS = s * 4 / 1
    found = components(np.repeat(cell[:, None], 3, axis=1))
    assert (found.configuration_image, found.seed_image) == (pytest.approx(12 / 3), pytest.approx(0))
    of_seed = np.array([[[1.0, -1.0], [-1.0, 1.0]]] * 2)  # MS = 8 / (2 * 1 * 1)
    found = components(of_seed)
    assert found.seed_image == pytest.approx(4)
    assert found.configuration_image == pytest.approx((0 - 4) / 2)


def test_means_alone_give_what_images_do():
    """Validation and test images share configurations and seeds; each has its own luck. Shares of a loss of 2."""
    truth = Components(0.16, 0.04, 0.0, 8.0, 4.0)
    found = []
    for number in range(60):
        rng = np.random.default_rng(number)
        common = 2 + rng.normal(0, 0.4, (12, 1)) + rng.normal(0, 0.2, (12, 4))
        val, test = (
            common + rng.normal(0, np.sqrt(8 / 100), (12, 1)) + rng.normal(0, np.sqrt(4 / 100), (12, 4))
            for _ in range(2)
        )
        found.append(variance.by_means(val, test))
    wanted = {name: value / 4 for name, value in truth.of_mean(100).items()}
    for name in found[0]:
        values = np.array([one[name] for one in found])
        assert abs(values.mean() - wanted[name]) < 3.5 * values.std() / np.sqrt(60), name


def test_the_errors_are_about_as_large_as_the_scatter():
    truth = Components(0.04, 0.02, 0.2, 0.3, 0.2)
    drawn = [simulated(truth, np.random.default_rng(number)) for number in range(40)]
    scatter = np.std([variance.by_images(losses)["seed"] for losses in drawn], ddof=1)
    errors = [jackknife(variance.by_images, losses)["seed"] for losses in drawn]
    assert np.mean(errors) == pytest.approx(scatter, rel=0.3)


@pytest.fixture
def table(tmp_path):
    """Three configurations, recorded out of order; the last was trained a third time. A fourth was trained once."""
    rng, lines, losses = np.random.default_rng(0), [], {}
    for seed, repeats in ((13, 5), (10, 7), (11, 7), (12, 5), (15, 9), (14, 9), (16, 9), (17, 3)):
        losses[str(seed)] = np.full(4, seed / 10) + rng.normal(0, 0.05, 4)
        losses[f"{seed}.test"] = np.full(3, seed / 5) + rng.normal(0, 0.05, 3)
        curves = {"train_loss": [1, 1], "val_loss": [9, seed / 10], "test_loss": [9, seed / 5]}
        lines.append(json.dumps({"seed": seed, "repeats": repeats, "history": curves}))
    path = tmp_path / "seeds.jsonl"
    path.write_text("\n".join(lines))
    np.savez(tmp_path / "seeds.npz", **losses)
    return path


def test_a_table_is_read_by_configuration_with_as_many_seeds_as_all_have(table):
    seeds = load_seeds(table)
    assert seeds.repeats == (7, 5, 9)
    assert seeds.val == pytest.approx(np.array([[1.0, 1.1], [1.2, 1.3], [1.4, 1.5]]))
    assert seeds.test == pytest.approx(np.array([[2.0, 2.2], [2.4, 2.6], [2.8, 3.0]]))
    assert seeds.val_images.mean(axis=2) == pytest.approx(seeds.val, abs=0.1)
    assert seeds.test_images.mean(axis=2) == pytest.approx(seeds.test, abs=0.1)
    assert (seeds.val_images.shape, seeds.test_images.shape) == ((3, 2, 4), (3, 2, 3))
    assert seeds.best(1).repeats == (7,)
    assert len(seeds.best(1).test_images) == 1


def test_the_command(table, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["variance.py", str(table), "--top", "3"])
    assert variance.main() == 0
    printed = capsys.readouterr().out
    assert "3 configurations, 2 seeds each" in printed
    assert printed.count("| validation | seed |") == printed.count("| test | seed |") == 1  # the best are all
    assert printed.count(f"| {variance.EFFECTS['image']} |") == 2


def test_the_best_configurations_stand_before_all(tmp_path, monkeypatch, capsys):
    lines = [
        {
            "seed": 10 * repeats + k,
            "repeats": repeats,
            "history": {"train_loss": [1], "val_loss": [loss], "test_loss": [2]},
        }
        for repeats in range(4)
        for k, loss in enumerate((repeats + 1, repeats + 2))
    ]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr("sys.argv", ["variance.py", str(tmp_path / "seeds.jsonl"), "--top", "3"])
    assert variance.main() == 0
    printed = capsys.readouterr().out
    assert "the 3 best: mean validation loss 2.5000, test loss 2.0000" in printed
    assert "all: mean validation loss 3.0000, test loss 2.0000" in printed


def test_a_table_without_losses_of_images(table, monkeypatch, capsys):
    table.with_name("seeds.npz").unlink()
    monkeypatch.setattr("sys.argv", ["variance.py", str(table)])
    assert variance.main() == 0
    printed = capsys.readouterr().out
    assert printed.count("| validation | seed |") == printed.count("| test | seed |") == 1
    assert variance.EFFECTS["image"] not in printed
    seeds = load_seeds(table)
    assert "2 fresh, averaged" not in weights.compared(seeds, dict.fromkeys(seeds.repeats, (1.0, 1.0)), 2)


@pytest.mark.parametrize(
    ("lines", "top", "said"),
    [
        (5, "3", "2 configurations have two seeds; three are needed"),
        (7, "2", "--top is 2; it must be at least 3"),
    ],
)
def test_too_little_is_refused(table, monkeypatch, capsys, lines, top, said):
    table.write_text("\n".join(table.read_text().splitlines()[:lines]))
    monkeypatch.setattr("sys.argv", ["variance.py", str(table), "--top", top])
    assert variance.main() == 2
    assert said in capsys.readouterr().err


def test_averaged_probabilities():
    """0.5 and 0.25 are 0.375 on average; equal networks are what one of them is."""
    assert weights.averaged_loss(-np.log([[0.5, 0.2], [0.25, 0.2]])) == pytest.approx(-np.log([0.375, 0.2]).mean())


def test_the_weights_that_are_compared():
    val = np.array([[0.4, 0.2, 0.1], [0.4, 0.6, 0.1]])
    test = np.array([[[0.8], [0.6], [9.0]], [[0.5], [0.7], [9.0]]])
    recorded = {7: (0.3, 0.9), 5: (0.3, 0.3)}  # the first loses to a fresh seed, the second does not
    seeds = Seeds((7, 5), val, val, test.mean(axis=2), np.ones_like(val), None, test)
    found = weights.compared(seeds, recorded, 2)
    assert found["recorded"] == pytest.approx([0.9 / 0.7 - 1, 0.3 / 0.6 - 1])
    assert found["best of 2 fresh by validation"] == pytest.approx([0.6 / 0.7 - 1, 0.5 / 0.6 - 1])
    assert found["best of 2 fresh and the recorded"] == pytest.approx([0.6 / 0.7 - 1, 0.3 / 0.6 - 1])
    mean = -np.log((np.exp(-0.8) + np.exp(-0.6)) / 2)
    assert found["2 fresh, averaged"][0] == pytest.approx(mean / 0.7 - 1)


def test_the_command_of_the_weights(table, tmp_path, monkeypatch, capsys):
    recorded = tmp_path / "recorded.jsonl"
    history = {"train_loss": [1, 1], "val_loss": [1.05, 2], "test_loss": [1.0, 9]}
    recorded.write_text("\n".join(json.dumps({"seed": seed, "history": history}) for seed in (5, 7, 9)))
    monkeypatch.setattr("sys.argv", ["weights.py", str(table), "--recorded", str(recorded)])
    assert weights.main() == 0
    printed = capsys.readouterr().out
    assert "3 configurations, 2 seeds each" in printed
    assert printed.count("| recorded |") == 1
    assert "| 2 fresh, averaged | " in printed
