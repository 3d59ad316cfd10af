"""The trainings of a confirmation that ended early."""

import re
from dataclasses import replace

import pytest
from builders import best_content

import search
from search.results.best_yaml import write
from search.use.fresh import Candidate, Failure, Fresh, Task, fingerprint_of, train_fresh, trained
from search.use.kept_trainings import KeptTrainings

ONE, TWO = (Fresh(3, seed, *(bytes([seed, part, 0, 200]) for part in range(6))) for seed in (1, 2))


@pytest.fixture
def best_yaml(tmp_path):
    write(tmp_path, best_content(), None)
    return tmp_path / "best.yaml"


@pytest.fixture
def task(best_yaml, digits):
    """Of a best.yaml that nobody has trained."""
    return Task(best_yaml, fingerprint_of(best_yaml, search.load(best_yaml)), digits, digits)


def jobs(*seeds, epochs=2, **changes):
    content = best_content()
    return [(Candidate(3, content["config"] | changes, epochs), seed) for seed in seeds]


def test_they_come_back_to_the_last_digit(best_yaml):
    kept = KeptTrainings(best_yaml, "mine")
    kept.add(ONE)
    kept.add(TWO)
    assert KeptTrainings(best_yaml, "mine").done == {(3, 1): ONE, (3, 2): TWO}
    kept.remove()
    assert KeptTrainings(best_yaml, "mine").done == {}


def test_those_of_another_configuration_are_not_taken_up(best_yaml, said):
    KeptTrainings(best_yaml, "mine").add(ONE)
    other = KeptTrainings(best_yaml, "another")
    assert other.done == {}
    assert said().count("not taken up") == 1
    other.add(TWO)
    assert KeptTrainings(best_yaml, "another").done == {(3, 2): TWO}


@pytest.mark.parametrize("damage", [
    lambda text: "",
    lambda text: text[:-20],
    lambda text: text.replace('"seed": 1', '"seed": 5'),
    lambda text: "{}",
    lambda text: "[" * 100_000,
    lambda text: "\udcff",
])  # fmt: skip
def test_a_damaged_file_is_set_aside(best_yaml, damage, said):
    kept = KeptTrainings(best_yaml, "mine")
    kept.add(ONE)
    damaged = damage(kept.path.read_text()).encode("utf-8", "surrogateescape")
    kept.path.write_bytes(damaged)
    assert KeptTrainings(best_yaml, "mine").done == {}
    (line,) = said().splitlines()
    assert line.endswith("best.confirm.json is damaged (it does not hold what was written to it): "
                         "it is set aside, and its seeds are trained again")  # fmt: skip
    assert kept.path.with_name("best.confirm.json.damaged").read_bytes() == damaged
    assert not kept.path.exists()


def test_the_same_best_yaml_has_the_same_identity_wherever_it_lies(best_yaml, task, tmp_path):
    assert fingerprint_of(tmp_path / "elsewhere" / "best.yaml", search.load(best_yaml)) == task.configuration
    assert task.identity("cuda:0") == task.identity("cuda:1") != task.identity("cpu")


@pytest.mark.parametrize("changes", [
    {"epochs": 4}, {"seed": 99}, {"config": best_content()["config"] | {"dropout": 0.11}}, {"weights_sha256": "0" * 64},
    {"environment": best_content()["environment"] | {"threads": 2}}, {"data": best_content()["data"] | {"seed": 9}},
    {"space": "spaces.resnet"},
])  # fmt: skip
def test_another_configuration_has_another_identity(best_yaml, task, changes):
    assert fingerprint_of(best_yaml, replace(search.load(best_yaml), **changes)) != task.configuration


def test_other_images_or_an_edited_space_have_another_identity(best_yaml, task):
    other = replace(task.test, fingerprint="other")
    assert replace(task, test=other).identity("cpu") != task.identity("cpu")
    assert replace(task, data=other).identity("cpu") != task.identity("cpu")
    space = best_yaml.with_name("mine.py")
    found = set()
    for line in ("", "# edited"):
        space.write_text(f"from spaces.cnn import build, suggest\n{line}")
        found.add(fingerprint_of(best_yaml, replace(search.load(best_yaml), space="mine.py")))
    assert len(found) == 2


def test_a_training_whose_process_is_killed_is_told(task, monkeypatch):
    import search.use.fresh as fresh

    start = fresh._start

    def killed(task, device, candidate, seed):
        training = start(task, device, candidate, seed)
        if seed == 7:
            training.process.kill()
        return training

    monkeypatch.setattr(fresh, "_start", killed)
    results = list(train_fresh(task, jobs(7, 8), ["cpu"], lambda: True))
    assert results[0] == Failure(3, 7, "its process was killed (SIGKILL), perhaps for want of memory")
    assert isinstance(results[1], Fresh)


def test_no_process_outlives_an_end_in_between(task):
    import multiprocessing

    task.path.write_text(re.sub(r"^epochs: .*", "epochs: 3000", task.path.read_text(), flags=re.MULTILINE))
    long = replace(task, configuration=fingerprint_of(task.path, search.load(task.path)))
    turns = iter([True, False])
    assert list(train_fresh(long, jobs(1, 2, 3, epochs=3000), ["cpu", "cpu"], lambda: next(turns))) == []
    assert multiprocessing.active_children() == []


def test_a_training_that_diverges_has_failed(task):
    (result,) = train_fresh(task, jobs(1, learning_rate=1e30), ["cpu"], lambda: True)
    assert result == Failure(3, 1, "its loss is not finite any more")


def test_on_ray_the_same_comes_of_it(task, ray_here):
    from search.use import ray_fresh

    wanted = jobs(1, learning_rate=1e30) + jobs(7)
    there = list(ray_fresh.train_fresh(task, wanted, "cpu", lambda: True, trained))
    here = list(train_fresh(task, wanted, ["cpu"], lambda: True))
    assert sorted(there, key=lambda one: one.seed) == sorted(here, key=lambda one: one.seed)
    assert [type(one) for one in here] == [Failure, Fresh]
