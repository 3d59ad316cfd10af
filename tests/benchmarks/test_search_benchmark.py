"""The benchmark of samplers: surrogates, simulated searches, start configurations."""

import json

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from studies.benchmarks.search.candidates import CANDIDATES, bounded
from studies.benchmarks.search.ranges import FACTORS, GRID, decay_features, moved
from studies.benchmarks.search.run import TABLES, line
from studies.benchmarks.search.seconds import CostWeighing, predicted_costs
from studies.benchmarks.search.simulation import Problem, Simulation, epoch_cost
from studies.benchmarks.search.starts import DEFAULT, learned
from studies.benchmarks.search.surrogate import SEED_STD, Recorded, Surrogate, cross_validated


@pytest.fixture(scope="module")
def surrogate(tmp_path_factory):
    """Of 60 made-up runs of 12 epochs whose loss depends on learning rate and width alone."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("table") / "made_up.jsonl"
    with path.open("w") as file:
        for seed in range(60):
            config = DEFAULT | {
                "width": int(rng.integers(8, 49)),
                "learning_rate": float(np.exp(rng.uniform(np.log(5e-4), np.log(1e-2)))),
                "dropout": float(rng.random() / 2),
                "depth": int(rng.integers(2, 7)),
                "kernel_size": int(rng.choice([3, 5])),
                "weight_decay": float(10 ** rng.uniform(-2, 0.4)),
                "batch_size": int(rng.integers(32, 257)),
                "augmentation": float(rng.random()),
            }
            end = 0.5 + 0.2 * np.log(config["learning_rate"] / 2e-3) ** 2 + 4 / config["width"]
            val = end * (1 + 1 / np.arange(1, 13))
            history = {"val_loss": val, "train_loss": 0.8 * val, "gap": 0.2 * val, "val_rise_z": -np.ones(12)}
            history |= {"val_loss_se": 0.02 * val, "gap_se": 0.02 * val}
            known = {name: curve.tolist() for name, curve in history.items()}
            file.write(json.dumps({"config": config, "seed": seed, "history": known}) + "\n")
    return Surrogate(Recorded.read(path))


def test_a_surrogate_predicts_what_depends_on_the_configuration(surrogate):
    loss, _ = cross_validated(surrogate.table)
    assert loss > 0.9
    good, bad = (DEFAULT | {"learning_rate": rate, "width": 40} for rate in (2e-3, 9e-3))
    assert surrogate.expected(good)[0] < surrogate.expected(bad)[0]


def test_a_drawn_run_ends_at_what_is_expected_but_for_the_seed(surrogate):
    config, rng = surrogate.table.configs[0], np.random.default_rng(0)
    runs = [surrogate.draw(config, rng) for _ in range(200)]
    ends = np.log([min(run["val_loss"]) for run in runs])
    assert np.mean(ends) == pytest.approx(np.log(surrogate.expected(config)[0]), abs=4 * SEED_STD / np.sqrt(200))
    assert np.std(ends) == pytest.approx(SEED_STD, rel=0.2)
    assert all(np.allclose(np.subtract(run["val_loss"], run["train_loss"]), run["gap"]) for run in runs)


def test_a_simulated_search_tells_as_many_trials_as_asked_for_and_repeats(surrogate):
    problem = Problem.on(surrogate)
    searches = [Simulation(problem, CANDIDATES["random"], seed, [DEFAULT]) for seed in (3, 3, 4)]
    first, again, other = [search.run(20, (5, 20)) for search in searches]
    assert first == again != other
    assert searches[0].configs[0] == pytest.approx(surrogate.clipped(DEFAULT))
    assert len(searches[0].configs) == 20
    assert len(searches[0].runs) < 20  # some were given up
    assert searches[0].epochs_trained < 20 * 12
    assert all(0.4 < loss < 2 and volume >= 0 for loss, volume in first)


@pytest.mark.parametrize("name", [name for name in CANDIDATES if not name.startswith("Optuna's")])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_every_sampler_draws_within_the_ranges(surrogate, name):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    search = Simulation(Problem.on(surrogate), CANDIDATES[name], 0)
    search.run(15, ())
    for config in search.configs.values():
        for parameter, distribution in surrogate.table.distributions.items():
            assert distribution.low <= config[parameter] <= distribution.high


def test_a_sampler_with_a_bound_is_told_which_losses_are_within_a_tenth_of_the_lowest():
    study = optuna.create_study(directions=["minimize", "minimize"])
    for loss, gap in ((0.5, 0.1), (0.54, -0.2), (0.56, 0.3)):
        trial = study.ask({"x": FloatDistribution(0, 1)})
        trial.set_user_attr("val_loss", loss)
        trial.set_user_attr("gap", gap)
        study.tell(trial, state=TrialState.PRUNED)
    study.ask({"x": FloatDistribution(0, 1)})
    *ended, running = bounded(RandomSampler(seed=0))._retold(study).trials
    assert running.state == TrialState.RUNNING
    assert [trial.values for trial in ended] == [[0.5, 0.1], [0.54, 0.0], [0.56, 0.3]]
    assert [trial.constraints["loss"] for trial in ended] == pytest.approx([-0.1, -0.02, 0.02])


def test_a_larger_network_costs_more():
    small, large = DEFAULT | {"width": 8}, DEFAULT | {"width": 48}
    assert epoch_cost(small) < epoch_cost(large)


def test_start_configurations_are_far_from_one_another_and_better_than_most(surrogate):
    configs = learned([surrogate], count=4)
    assert configs[0] == DEFAULT
    assert len(configs) == 4
    losses = [surrogate.expected(config)[0] for config in configs[1:]]
    assert max(losses) < np.median(np.exp(surrogate.table.ends[:, 0]))


def test_a_row_of_the_table():
    figures = np.stack([np.full((5, 2), 0.5), np.full((5, 2), 0.7)])
    assert line("name", figures).startswith("| name | 0.6000 | 0.6000 | 0.6000 | 0.6000 | 0.6000 ± 0.1000 | 0.6 ± 0.1")
    assert all(table.is_file() for table in TABLES)


def test_a_search_of_some_seconds_leaves_out_what_is_under_way_then(surrogate):
    search = Simulation(Problem.on(surrogate), CANDIDATES["random"], 0)
    (_, _, none), (_, _, early), (loss, volume, ended) = search.run_for([1.0, 200.0, 400.0])
    assert none == 0 < early < ended == len(search.configs) - 4
    assert 200 < search.now <= 400
    assert (loss, volume) == (search.chosen_loss(), search.hypervolume())


def test_without_the_rule_no_run_is_given_up(surrogate):
    search = Simulation(Problem.on(surrogate), CANDIDATES["random"], 0, gives_up=False)
    search.run(12, ())
    assert search.epochs_trained == 12 * 12


def test_the_best_configurations_are_moved_along_one_parameter(surrogate):
    losses = moved(surrogate, "learning_rate")
    assert GRID["learning_rate"][int(np.argmin(losses))] == 2e-3
    assert losses[0] > 1.2 * losses.min()


def test_weight_decay_times_rate_times_steps(surrogate):
    table = surrogate.table
    column = list(table.distributions).index("weight_decay")
    plain, product = (decay_features(table, FACTORS[name])[:, column] for name in ("weight decay", "x rate x steps"))
    wanted = [c["weight_decay"] * c["learning_rate"] / c["batch_size"] for c in table.configs]
    assert np.array_equal(np.argsort(product), np.argsort(wanted))
    assert np.array_equal(np.argsort(plain), np.argsort([c["weight_decay"] for c in table.configs]))


def test_costs_are_predicted_from_those_of_other_trials():
    rng = np.random.default_rng(0)
    seen, new = rng.random((40, 3)), rng.random((20, 3))

    def costs(x):
        return np.exp(3 * x[:, 0] + x[:, 1] ** 2)

    assert np.allclose(predicted_costs(seen, costs(seen), new), costs(new), rtol=0.05)


def test_a_heavy_weight_on_the_cost_draws_cheaper_networks(surrogate):
    def mean_cost(exponent):
        search = Simulation(Problem.on(surrogate), lambda seed: CostWeighing(seed, exponent), 0)
        search.run(20, ())
        return np.mean([epoch_cost(search.configs[number]) for number in range(10, 20)])

    assert mean_cost(3.0) < 0.7 * mean_cost(0.0)
