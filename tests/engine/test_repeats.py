"""The best configurations are trained again with other seeds."""

from collections import Counter

from builders import settings, study_of

from search.engine.launch import run_search


def test_a_search_repeats_its_best_and_a_second_start_does_not(tmp_path):
    small = settings(tmp_path / "run", trials=30, epochs=10, workers=4)
    assert run_search(small) is None
    repeats = study_of(tmp_path / "run").user_attrs["repeats"]
    assert set(Counter(repeat["trial"] for repeat in repeats).values()) <= {1, 2}
    assert len(repeats) >= 3
    assert len({repeat["seed"] for repeat in repeats}) == len(repeats)
    assert len({repeat["val_loss"] for repeat in repeats}) == len(repeats)  # another seed, another result
    assert len(study_of(tmp_path / "run").trials) == 30  # they are no trials
    assert {path.suffix for path in (tmp_path / "run" / "weights").iterdir()} == {".pt"}
    lineages = {f"{trial.user_attrs['lineage']}.pt" for trial in study_of(tmp_path / "run").trials}
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} <= lineages  # of finished trials
    assert run_search(small) is None
    assert study_of(tmp_path / "run").user_attrs["repeats"] == repeats
