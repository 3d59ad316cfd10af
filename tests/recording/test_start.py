"""What a search tries first: in which order, within which ranges, and once."""

import warnings

import pytest
import yaml
from builders import EASY, best_content, outcome, settings, study_of

from search.command.cli import main
from search.engine.launch import run_search
from search.errors import UserError
from search.recording.start import first_trials
from search.recording.store import Store
from search.settings import Settings
from search.spaces import suggester
from spaces import cnn

OWN = """
def suggest(trial):
    config = {
        "width": trial.suggest_int("width", 4, 16, step=4),
        "activation": trial.suggest_categorical("activation", ["relu", "silu", None]),
        "rate": trial.suggest_float("rate", 0.0, 0.9, step=0.3),
        "constant": 7,
    }
    if config["activation"] == "silu":
        config["slope"] = trial.suggest_float("slope", 0.1, 10.0, log=True)
    return config


def build(config, *, channels, image_size, classes):
    from torch import nn
    dict(config)  # all of it is read
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], classes))


def start():
    return START
"""


@pytest.fixture(autouse=True)
def no_warnings():
    """Optuna's own warnings would be seen on the screen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", category=DeprecationWarning)
        yield


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Call it with what `start` returns for the name of a space."""
    monkeypatch.chdir(tmp_path)

    def write(named: str, code: str = OWN) -> str:
        (tmp_path / "own.py").write_text(code.replace("START", named))
        return "own.py"

    return write


def named(space, **changes) -> dict:
    """What such a search tries first, by name."""
    chosen = Settings(name="s", dataset="digits", space=space, **changes)
    return {trial.name: trial.params for trial in first_trials(chosen, suggester(chosen.space, chosen.ranges))}


def best_yaml(folder, **changes):
    path = folder / "best.yaml"
    path.write_text(yaml.safe_dump({"version": 1} | best_content() | changes))
    return path


def test_the_built_in_ones_are_tried_as_they_are():
    assert named("cnn") == {f"cnn {number}": one for number, one in enumerate(cnn.start(), start=1)}
    assert named("cnn", start=False) == {}
    assert len(named("mlp")) == 1


def test_they_are_brought_into_the_ranges_and_none_is_tried_twice():
    ranges = {"width": (8, 32), "depth": (2, 4), "kernel_size": (3, 3), "learning_rate": (1e-3, 1e-3)}
    first = named("cnn", ranges=ranges)
    assert [(one["width"], one["batch_size"]) for one in first.values()] == [(32, 64), (32, 33), (32, 44)]
    assert {one["depth"] for one in first.values()} == {4}
    assert {one["kernel_size"] for one in first.values()} == {3}
    assert all(isinstance(one["width"], int) for one in first.values())
    assert first["cnn 2"] == cnn.start()[1] | {"width": 32, "learning_rate": 1e-3}
    one = {name: (value, value) for name, value in cnn.start()[0].items()}
    assert named("cnn", ranges=one | {"width": (32, 33)}) == {
        "cnn 1": cnn.start()[0],
        "cnn 2": cnn.start()[0] | {"width": 33},
    }


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("[]", {}),
        ("[{}]", {"own.py 1": {}}),
        ("[{'width': 8}, {'width': 8.0}]", {"own.py 1": {"width": 8}}),
        ("[{'rate': 0.9}, {'rate': 0.6, 'activation': None}]",
         {"own.py 1": {"rate": 0.9}, "own.py 2": {"rate": 0.6, "activation": None}}),
        ("({'activation': 'silu', 'slope': 10},)", {"own.py 1": {"activation": "silu", "slope": 10.0}}),
    ],
)  # fmt: skip
def test_of_a_space_of_ones_own(own, start, first):
    found = named(own(start))
    assert found.keys() == first.keys()
    assert all(found[name] == pytest.approx(first[name]) for name in first)


def test_a_space_needs_no_start(own):
    assert named(own("[]", OWN.partition("def start")[0])) == {}
    assert named(own("[]", OWN.partition("def start")[0] + "start = 3\n")) == {}


SUBJECT = "configuration 2 of start in the space own.py"


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("[{}, {'width': 20}]", f"{SUBJECT} has width=20, which is not a whole number from 4 to 16 in steps of 4"),
        ("[{}, {'width': 6}]", f"{SUBJECT} has width=6, which is not a whole number from 4 to 16 in steps of 4"),
        ("[{}, {'width': True}]", f"{SUBJECT} has width=True, which is not a whole number from 4 to 16 in steps of 4"),
        ("[{}, {'rate': float('nan')}]", f"{SUBJECT} has rate=nan, which is not a number from 0 to 0.9 in steps of"),
        ("[{}, {'activation': 'selu'}]", f"{SUBJECT} has activation='selu', which is not one of 'relu', 'silu', None"),
        ("[{}, {'activation': 'relu', 'slope': 1.0}]",
         f"{SUBJECT} has slope, which suggest does not draw there; it draws width, activation, rate"),
        ("[{}, {'widht': 8}]", f"{SUBJECT} has widht, which suggest does not draw there; it draws width, activation"),
        ("[8]", "start of the space own.py returned a list; it must return a list of dicts"),
        ("None", "start of the space own.py returned nothing; it must return a list of dicts"),
        ("1 / 0", "start of the space own.py failed: ZeroDivisionError: division by zero (own.py:"),
        ("[{'width': {8}}]", "start of the space own.py failed: TypeError: Object of type set is not JSON"),
    ],
)  # fmt: skip
def test_a_fault_of_a_start_is_one_line_before_the_search(own, tmp_path, capsys, start, said):
    assert main(["run", "digits", "--space", own(start), "--out", "run"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {said}")
    assert not (tmp_path / "run").exists()


def test_a_suggest_that_fails_beside_it_names_it(own):
    code = OWN.replace("    return config", "    assert config['width'] < 16\n    return config")
    with pytest.raises(UserError, match=rf"^{SUBJECT}: suggest of the space own.py failed: AssertionError"):
        named(own("[{}, {'width': 16}]", code))


def test_a_best_yaml_comes_first_without_the_others_too(tmp_path):
    path = best_yaml(tmp_path)
    config = best_content()["config"]
    assert list(named("cnn", start_from=path)) == ["best.yaml", *named("cnn")]
    assert named("cnn", start_from=path, start=False)["best.yaml"] == config | {"learning_rate": 5e-3}
    assert list(named("cnn", start_from=tmp_path, start=False)) == ["best.yaml"]
    same = best_yaml(tmp_path, config=cnn.start()[1])
    assert list(named("cnn", start_from=same)) == ["best.yaml", "cnn 1", "cnn 3"]


def test_of_a_best_yaml_it_says_what_had_to_be_changed(own, tmp_path, said):
    config = {"width": 99, "activation": "gelu", "constant": 7}
    path = best_yaml(tmp_path, space="elsewhere/own.py", config=config)
    chosen = settings(tmp_path / "run", space=own("[]"), ranges={}, start_from=path, trials=1, epochs=1)
    run_search(chosen)
    assert (
        f"--start-from {path}, to suit the ranges of this search: width from 99 to 16, "
        f"activation from 'gelu' to 'silu', rate drawn, since it is not there, slope drawn, since it is not there\n"
    ) in said()
    first = study_of(tmp_path / "run").trials[0]
    assert (first.params["width"], first.params["activation"], len(first.params)) == (16, "silu", 4)
    assert first.user_attrs["start"] == "best.yaml"
    run_search(chosen)
    assert f"this search has begun already, so --start-from {path} changes nothing\n" in said()
    assert len(study_of(tmp_path / "run").trials) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "--start-from best.yaml is of the space spaces.cnn, and this search is over spaces.mlp; take --space"),
        ({"space": "mlp.py"}, "--start-from best.yaml is of the space mlp.py, and this search is over spaces.mlp"),
        ({"space": "spaces.mlp", "config": {"a": 1}}, "--start-from best.yaml has none of depth, width, dropout, "),
        ({"version": 9}, "best.yaml is of format 9, this gapsearch reads 1"),
    ],
)
def test_a_best_yaml_that_does_not_suit_is_refused(tmp_path, monkeypatch, capsys, changes, said):
    monkeypatch.chdir(tmp_path)
    best_yaml(tmp_path, **changes)
    assert main(["run", "digits", "--space", "mlp", "--start-from", "best.yaml", "--out", "run"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
    assert main(["run", "digits", "--start-from", "none.yaml", "--out", "run"]) == 2
    assert "cannot read none.yaml: No such file or directory" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


FIRST = {"own.py 1": {"width": 8}, "own.py 2": {"width": 4, "activation": "silu"}, "own.py 3": {"width": 16}}


class Asked:
    """A study that is asked for one trial after another, each told at once."""

    def __init__(self, folder, suggest, first=FIRST):
        self.store, self._suggest = Store(f"sqlite:///{folder / 'study.db'}", "s", seed=0), suggest
        self.new = self.store.begin_with(first)
        self.store.requeue_interrupted()

    def ask(self):
        self.store.queue_first()
        return self.store.ask(self._suggest)

    def ended(self, trials):
        """Ask until so many have ended; what each lineage has trained."""
        while self.store.count() < trials:
            number = self.ask()[0].number
            self.store.record_ended(outcome(number), EASY, "cpu", [])
        return results(self.store)


def results(store):
    ended = [trial for trial in store.snapshot().trials if trial.ended]
    return [(trial.lineage, trial.params, trial.start) for trial in ended]


@pytest.fixture
def suggest(own):
    return suggester(own("[]"), {})


def test_they_come_first_in_their_order_and_count(tmp_path, suggest):
    asked = Asked(tmp_path, suggest)
    assert asked.new
    found = asked.ended(5)
    assert [(lineage, start) for lineage, _, start in found] == [*enumerate(FIRST), (3, None), (4, None)]
    assert [params["width"] for _, params, _ in found[:3]] == [8, 4, 16]
    assert all(found[at][1].items() >= params.items() for at, params in enumerate(FIRST.values()))


def test_with_fewer_trials_the_first_are_tried_and_the_others_by_a_later_start(tmp_path, suggest):
    assert [start for *_, start in Asked(tmp_path, suggest).ended(2)] == list(FIRST)[:2]
    later = Asked(tmp_path, suggest, first={"else": {"width": 12}})
    assert not later.new
    assert [start for *_, start in later.ended(4)] == [*FIRST, None]


def test_a_search_that_began_without_has_none_later(tmp_path, suggest):
    assert Asked(tmp_path, suggest, first={}).ended(1)[0][2] is None
    assert Asked(tmp_path, suggest).ended(2)[1][2] is None


def test_a_study_of_before_there_were_any_has_none(tmp_path, suggest):
    Store(f"sqlite:///{tmp_path / 'study.db'}", "s", seed=0).ask(suggest)
    assert not Asked(tmp_path, suggest).new


def test_what_somebody_queues_comes_between(tmp_path, suggest):
    asked = Asked(tmp_path, suggest)
    asked.ended(1)
    asked.store.study.enqueue_trial({"width": 12})
    assert [start for *_, start in asked.ended(4)] == ["own.py 1", None, "own.py 2", "own.py 3"]


class Killed(BaseException):
    """As if the process had been killed here."""


def killed_in_the_middle(trial):
    trial.suggest_int("width", 4, 16, step=4)
    raise Killed


@pytest.mark.parametrize("tried", [0, 1, 2])
@pytest.mark.parametrize("moment", ["recorded", "queued", "asked", "half drawn", "drawn", "requeued", "interrupted"])
def test_killed_at_any_moment_none_is_lost_or_tried_twice(tmp_path, suggest, tried, moment):
    for folder in ("undisturbed", "killed"):
        (tmp_path / folder).mkdir()
    expected = Asked(tmp_path / "undisturbed", suggest).ended(6)
    first = Asked(tmp_path / "killed", suggest)
    first.ended(tried)
    if moment in ("queued", "asked", "half drawn"):
        first.store.queue_first()
    if moment == "asked":
        first.store.study.ask()
    if moment == "half drawn":
        with pytest.raises(Killed):
            first.store.ask(killed_in_the_middle)
    if moment in ("drawn", "requeued", "interrupted"):
        number = first.ask()[0].number
    if moment == "interrupted":
        first.store.interrupt(number)
    if moment == "requeued":
        Asked(tmp_path / "killed", suggest)
    assert Asked(tmp_path / "killed", suggest).ended(6) == expected


def test_a_search_tries_them_and_repeats_and_resumes_exactly(tmp_path, own, said):
    space = own("[{'width': 8, 'rate': 0.3}, {'width': 4, 'activation': 'silu'}]")
    small = {"space": space, "ranges": {}, "epochs": 2, "workers": 1, "start": True}

    def searched(folder, **changes):
        run_search(settings(tmp_path / folder, **small | changes))
        return [(t.params, t.values, t.user_attrs.get("start")) for t in study_of(tmp_path / folder).trials]

    whole = searched("a", trials=4)
    assert [start for *_, start in whole] == ["own.py 1", "own.py 2", None, None]
    assert (whole[0][0]["width"], whole[0][0]["rate"]) == (8, pytest.approx(0.3))
    searched("b", trials=1)
    assert searched("b", trials=4, start=False) == whole
    assert searched("c", trials=2, start=False)[0][2] is None
    assert "--start-from" not in said()


def test_no_start(tmp_path, monkeypatch):
    searches = []
    monkeypatch.setattr("search.api.Search.run", lambda self: searches.append(self))
    monkeypatch.chdir(tmp_path)
    for flags in ([], ["--no-start"], ["--start-from", "best.yaml"]):
        assert main(["run", "digits", *flags]) == 0
    assert [(search.start, str(search.start_from)) for search in searches] == [
        (True, "None"), (False, "None"), (True, "best.yaml"),
    ]  # fmt: skip
