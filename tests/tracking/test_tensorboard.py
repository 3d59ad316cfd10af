"""Event files, read back by TensorBoard itself."""

import pytest
from builders import trial

from search.stopping.stopped import Stopped
from search.tracking.tensorboard import EventFiles

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")

DRAWN = {"width": 12, "dropout": 0.25, "norm": "batch"}


def read(folder, number):
    found = accumulator.EventAccumulator(str(folder / f"trial_{number:04d}"))
    found.Reload()
    return found


def scalars(folder, number, name):
    return [(event.step, pytest.approx(event.value, rel=1e-6)) for event in read(folder, number).Scalars(name)]


def drawn_and_measured(folder, number):
    """What the page HPARAMS shows: names and values of parameters, names of metrics."""
    contents = read(folder, number).summary_metadata
    data = [hparams.HParamsPluginData.FromString(one.plugin_data.content) for one in contents.values()
            if one.plugin_data.plugin_name == "hparams"]  # fmt: skip
    values = {}
    metrics = set()
    for one in data:
        for name, value in one.session_start_info.hparams.items():
            values[name] = getattr(value, value.WhichOneof("kind"))
        metrics |= {metric.name.tag for metric in one.experiment.metric_infos}
    return values, metrics


@pytest.fixture
def files(tmp_path):
    files = EventFiles(tmp_path)
    files.begin([])
    return files


def test_curves_parameters_and_figures(tmp_path, files):
    ended = trial(3, val=(0.9, 0.5, 0.6), train=(0.8, 0.4, 0.2), params=DRAWN)
    for epochs in (1, 2, 3):
        files.epoch(3, {name: values[:epochs] for name, values in ended.history.items()})
    files.ended(ended)
    files.close()
    assert scalars(tmp_path, 3, "val_loss") == [(1, 0.9), (2, 0.5), (3, 0.6)]
    assert scalars(tmp_path, 3, "gap") == [(1, 0.1), (2, 0.1), (3, 0.4)]
    assert scalars(tmp_path, 3, "best_val_loss") == [(0, 0.5)]
    assert scalars(tmp_path, 3, "best_gap") == [(0, 0.1)]
    values, metrics = drawn_and_measured(tmp_path, 3)
    assert values == DRAWN | {"stopped": "finished"}
    assert {"best_val_loss", "best_gap"} <= metrics  # the loss against the gap


def test_a_running_trial_can_be_watched(tmp_path, files):
    files.epoch(0, trial(0).history)
    assert len(scalars(tmp_path, 0, "train_loss")) == 3


def test_a_trial_that_is_queued_again_leaves_nothing(tmp_path, files):
    files.epoch(0, trial(0).history)
    files.forget(0)
    files.forget(1)
    assert list(tmp_path.iterdir()) == []


def test_one_without_a_result(tmp_path, files):
    files.ended(trial(0, "PRUNED", Stopped.ERROR, val=(), train=(), params=DRAWN))
    assert drawn_and_measured(tmp_path, 0) == (DRAWN | {"stopped": "error"}, set())


def test_the_next_start_has_nothing_twice_and_nothing_of_what_was_interrupted(tmp_path, files):
    files.epoch(0, trial(0).history)
    files.ended(trial(0, params=DRAWN))
    files.epoch(1, trial(1).history)  # and then it was killed
    again = EventFiles(tmp_path)
    again.begin([trial(0, params=DRAWN)])
    again.epoch(2, trial(2).history)
    again.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trial_0000", "trial_0002"]
    assert [step for step, _ in scalars(tmp_path, 0, "val_loss")] == [1, 2, 3]
    assert len(list((tmp_path / "trial_0000").iterdir())) == 1
