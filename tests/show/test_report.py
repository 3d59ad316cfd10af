"""report.html: what it tells of finished, running, empty and infeasible searches; names in it are never markup."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
import yaml
from builders import (
    DISTRIBUTIONS,
    ROOT,
    SCRIPT,
    best_content,
    confirmation,
    history,
    recorded_study,
    recorded_trial,
    recorded_trials,
    snapshot,
    trial,
)
from page_text import Text

from search import Search
from search.choice.fit import Fit
from search.command.cli import main
from search.insight.sentences import importance as importance_lines
from search.results.snapshot import read_snapshot
from search.show import report
from search.stopping.stopped import Stopped


def render(study, exported=None):
    return report.render(read_snapshot(study), exported)


def shown(study, exported=None):
    return Text(render(study, exported)).shown


def test_the_whole_report_of_a_study_by_hand():
    text = shown(recorded_study(recorded_trials(), chosen=1))
    assert "Trial 1: it is the best by hand." in text
    assert "6 of 20 trials have ended." in text
    assert "0.5200 ± 0.0200; linear baseline 1.0000" in text
    assert "dropout 0.4" in text
    assert "+0% 0.3000 ± 0.0300 0.5000 ± 0.0200 80.0% 0" in text  # what a smaller gap costs
    assert "+5% 0.1000 ± 0.0300 0.5200 ± 0.0200 80.0% ★ 1" in text
    assert "overfit 1 6 4 validation loss rose" in text  # 6 epochs trained, 4 saved
    assert "hopeless 1 3 7 could not reach" in text
    assert "true overfit 1 0.5000 0.3000 0.1" in text  # a regime, and where it occurred
    assert "underfit 1 1.2000 0.0100 0.45" in text
    assert "400 images to train on and 200 to validate on" in text
    assert "As recorded, the chosen one is 48% below it." in text


def test_what_is_more_accurate_and_what_is_never_recognized_is_said():
    study = recorded_study(
        recorded_trials(),
        baseline={"val_loss": 1.0, "val_accuracy": 0.91},
        data={"name": "digits", "classes": ["oak", "elm"], "shape": [1, 8, 8], "train_size": 400, "val_size": 200,
              "val_counts": [150, 50]},
        choice={"trial": 1, "band": [1], "because": "it is the best by hand", "unrecognized": ["elm"]},
    )  # fmt: skip
    text = shown(study)
    assert "Trial 1: in accuracy (80.0%) no better than the linear baseline (91.0%); it is the best by hand." in text
    assert "90.0% on the train probe; linear baseline 91.0%, largest class 75.0%" in text
    assert "Never recognized on the validation images (recall 0): elm." in text


@pytest.mark.parametrize("chosen", [1, None])
def test_a_result_from_few_images_is_called_that(chosen):
    data = {"name": "digits", "classes": ["oak", "elm"], "shape": [1, 8, 8], "train_size": 40, "val_size": 20,
            "val_counts": [15, 5]}  # fmt: skip
    text = shown(recorded_study(recorded_trials(), data=data, chosen=chosen))
    assert "From few images: 16 of 20 are right, which any accuracy from 62." in text
    assert "Classes of fewer than 10 validation images: elm 5." in text
    assert ("good as far as 20 images tell" in text) == (chosen is not None)


def test_where_no_smaller_gap_is_to_be_had_none_is_listed():
    text = shown(
        recorded_study([recorded_trial(n, val_loss=0.5 + 0.2 * n, dropout=0.1 * n) for n in range(3)], chosen=1)
    )
    assert "no run within 10% of the lowest val_loss has a smaller gap than trial 0" in text
    assert "allowed loss" not in text


def test_lessons_stand_where_a_person_would_ask():
    def trials(closing):
        gaps = [0.5 - closing * n / 20 + 0.01 * (n % 3) for n in range(20)]
        return [recorded_trial(n, gap=gap, dropout=n / 40, width=8 + (7 * n) % 20) for n, gap in enumerate(gaps)]

    assert "What closed the gap: the 10 runs with dropout of at least 0.25" in shown(recorded_study(trials(0.4)))
    assert "What closed the gap" not in shown(recorded_study(trials(0.0)))
    assert "No parameter's effect on the gap stands out" in shown(recorded_study(trials(0.0)))
    underfit = [recorded_trial(n, val_loss=1.5, fit=Fit.UNDERFIT) for n in range(5)]
    assert "The whole study underfits: none of its 5 runs" in shown(recorded_study(underfit))
    assert "The whole study underfits" not in shown(recorded_study([*underfit, recorded_trial(5)]))
    assert "width at its lower bound 8: widen" in shown(recorded_study([recorded_trial(n, width=8) for n in range(5)]))
    assert "widen" not in shown(recorded_study([recorded_trial(n, width=20) for n in range(5)]))


def test_all_trials_are_listed_those_that_may_be_chosen_first():
    text = shown(recorded_study(recorded_trials(), chosen=1))
    listed = text[text.index("All trials") : text.index("Data and linear baseline")]
    assert [int(n) for n in re.findall(r"(\d) (?:[\d.]+ ± [\d.]+ ){2}", listed)] == [0, 5, 1, 2, 3, 4]
    assert "out_of_memory 10 of 10 PRUNED 0.25 18 batch" in listed


def test_what_matters_is_told_in_the_words_of_the_terminal():
    trials = [recorded_trial(n, val_loss=0.5 + 0.01 * (5 * n % 11), dropout=n / 40) for n in range(9)]
    study = recorded_study(trials)
    lines = importance_lines(read_snapshot(study).ended)
    assert len(lines) == 2
    text = shown(study)
    assert all(line[1:] in text for line in lines)
    assert "What drives loss and gap" not in shown(recorded_study(trials[:7]))


def test_a_study_without_a_trial_and_one_without_a_start():
    assert "None yet: no trial has a result." in shown(recorded_study([]))
    bare = optuna.create_study(study_name="new", directions=["minimize"] * 2)
    assert "None yet: no trial has a result." in shown(bare)


def test_where_nothing_may_be_chosen_the_nearest_is_named():
    infeasible = [
        recorded_trial(n, val_loss=1.5 - 0.1 * n, fit=Fit.UNDERFIT, dropout=0.1 * n, width=20) for n in range(4)
    ]
    text = shown(recorded_study(infeasible))
    assert "None. No trial beats the linear baseline (val_loss 1.0000), so there is no best.yaml." in text
    assert "Nearest is trial 3: val_loss 1.2000" in text
    assert "with a gap of at most 0.2, so" in shown(recorded_study(infeasible, max_gap=0.2))


def test_a_running_search_says_so():
    study = recorded_study(recorded_trials(), chosen=1)
    assert "are running" not in shown(study)
    study.ask(DISTRIBUTIONS).set_user_attr("history", history((0.9,), (0.8,)))
    text = shown(study)
    assert "6 of 20 trials have ended, 1 are running." in text
    assert "The search was not over when this was written." in text


def test_the_front_has_the_columns_of_every_table_of_trials():
    text = shown(recorded_study([recorded_trial(0, gap=-0.1), recorded_trial(1)], chosen=0))
    assert "trial val_loss gap accuracy fit stopped best epoch parameters" in text
    assert "★ 0 0.5000 ± 0.0200 −0.1000 ± 0.0300 80.0% good finished 10 of 10 1,234" in text


def test_names_are_text_never_markup():
    study = recorded_study(recorded_trials(), name=SCRIPT, chosen=1)
    page = render(study)
    assert "<script>alert" not in page
    assert "alert(1)</" not in page
    parsed = Text(page)
    assert parsed.shown.count(SCRIPT) >= 4  # study, class, parameter, code
    graphs = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert len(graphs) == 4 + 3  # all but importances, which want more runs; three slices
    assert any("&lt;script>" in graph or "&lt;script&gt;" in graph for graph in graphs)  # plotly shows it as it is


def test_nothing_is_fetched():
    page = render(recorded_study(recorded_trials(), chosen=1))
    elements = Text(page).elements
    policy = next(attrs["content"] for tag, attrs in elements if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    assert {attrs["href"] for tag, attrs in elements if "href" in attrs} == {"data:,"}
    assert not [attrs for tag, attrs in elements if "src" in attrs]


def test_no_absolute_path_is_told():
    exported = {"data": {"name": "digits"}, "confirmation": None, "environment": {"torch": "2.10"}, "trial": 1}
    page = render(recorded_study(recorded_trials(), chosen=1), exported)
    assert "/home/somebody" not in page
    assert "gapsearch train mine/best.yaml" in page


def test_the_code_to_search_anew_makes_the_same_search():
    code = report.search_call(read_snapshot(recorded_study(recorded_trials())), "runs/fashion")
    namespace = {}
    exec(code.replace(".run()", "").replace("Search(", "search = Search(", 1), namespace)
    search = namespace["search"]
    assert search.comparable("ab12", 8, 400, 200, False) == read_snapshot(recorded_study([])).settings
    assert (search.name, search.trials, search.epochs, search.start) == ("by hand", 20, 10, False)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([None], (False, None)),
        (["cnn 1", None], (None, None)),
        (["best.yaml", None], (False, "PATH/best.yaml")),
        (["best.yaml", "cnn 1"], (None, "PATH/best.yaml")),
    ],
)
def test_the_code_to_search_anew_says_what_is_tried_first(names, said):
    first = snapshot(*(replace(trial(number), start=name) for number, name in enumerate(names)))
    code = report.search_call(first, "runs/fashion")
    start, start_from = said
    assert ("    start=False,\n" in code) == (start is False)
    assert (f"    start_from={start_from!r},\n" in code) == (start_from is not None)


def test_the_code_to_search_anew_names_weights_and_balance():
    snapshot = read_snapshot(recorded_study(recorded_trials()))
    for weights, said in (("none", "weights='none'"), ("0123456789abcdef", "weights='runs/fashion/pretrained.pt'")):
        other = replace(snapshot, settings={**snapshot.settings, "weights": weights, "balance": True})
        code = report.search_call(other, "runs/fashion")
        assert said in code
        assert "balance=True" in code


def test_the_code_to_search_anew_has_the_time_limit_and_no_race_where_there_was_none():
    snapshot = read_snapshot(recorded_study(recorded_trials()))
    code = report.search_call(replace(snapshot, plan={**snapshot.plan, "timeout": 60.0, "race": False}), "runs/fashion")
    assert "    timeout=60.0,\n" in code
    assert "    race=False,\n" in code
    assert "race" not in report.search_call(replace(snapshot, plan={**snapshot.plan, "race": True}), "runs/fashion")


@pytest.mark.parametrize("stopped", Stopped)
def test_every_way_to_end_has_a_meaning(stopped):
    trials = [*recorded_trials(), recorded_trial(6, stopped)]
    text = render(recorded_study(trials, chosen=1))
    assert report.MEANING[stopped] in text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`run` in the current folder, with a study by hand."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    recorded_study(recorded_trials(), chosen=1, storage="sqlite:///run/study.db")
    return tmp_path / "run"


def test_the_command(folder, capsys):
    assert main(["report", "run"]) == 0
    assert capsys.readouterr().out == "6 trials, 6 of them ended\nwritten: run/report.html\n"
    assert "it is the best by hand" in (folder / "report.html").read_text()
    assert [path.name for path in folder.iterdir() if "report" in path.name] == ["report.html"]


def test_a_database_elsewhere(folder, capsys):
    (folder / "study.db").rename("shared.db")
    recorded_study([], name="another", storage="sqlite:///shared.db")
    assert main(["report", "run", "--storage", "sqlite:///shared.db"]) == 2
    assert "2 studies: by hand, another; name one with --study" in capsys.readouterr().err
    assert main(["report", "run", "--storage", "sqlite:///shared.db", "--study", "by hand"]) == 0
    assert "it is the best by hand" in (folder / "report.html").read_text()


def test_errors_are_one_line(folder, capsys):
    assert main(["report", "none"]) == 2
    assert capsys.readouterr().err == "error: there is no folder none; name a run folder such as runs/digits\n"
    (folder / "report.html").mkdir()
    assert main(["report", "run"]) == 2
    assert re.fullmatch(r"error: cannot write run/report.html: .*\n", capsys.readouterr().err)


def test_best_yaml_tells_of_versions_and_confirmation(folder):
    content = {"version": 1} | best_content(trial=1)
    content["environment"]["torch"] = "2.99"
    write_best(folder, content)
    assert main(["report", "run"]) == 0
    text = Text((folder / "report.html").read_text()).shown
    assert "torch 2.99" in text
    assert "gapsearch confirm run/best.yaml tells" in text
    older = {"seeds": [1, 2], "test_loss": 0.6, "test_accuracy": 0.7, "optimism": 0.08}
    for found, shown in (
        (older, "test loss 0.6000, accuracy 70.0%. Optimism of the search +0.0800"),
        (confirmation(), "test loss 0.3000, accuracy 85"),
    ):
        write_best(folder, content | {"confirmation": found})
        assert main(["report", "run"]) == 0
        text = Text((folder / "report.html").read_text()).shown
        assert f"2 fresh seeds on the test split, which the search never saw: {shown}" in text
    assert "The recorded val_loss is within noise of fresh seeds: they have +0.0400 ± 0.0150 (+40%) on the same" in text
    assert "the smaller gap of the choice has +0.0300 ± 0.0100 test loss, within noise" in text
    assert "loss, fresh seeds 0.2400 ± 0.0200 0.3000 ± 0.0200" in text
    assert "shirt 71.0% ± 1.0% 70.0% ± 2.0% 70.5% 1,000" in text


@pytest.mark.parametrize("broken", ["{", "version: 1", "version: 1\nstudy: s\ntrial: 0"])
def test_a_best_yaml_that_is_broken_or_of_another_trial_is_left_out(folder, broken):
    (folder / "best.yaml").write_text(broken)
    assert main(["report", "run"]) == 0
    assert "gapsearch train" not in (folder / "report.html").read_text()


def write_best(folder, content):
    (folder / "best.yaml").write_text(yaml.safe_dump(content))


def test_a_search_writes_it_at_the_end(tmp_path, capsys):
    search = Search(name="s", dataset="digits", trials=2, epochs=3, train_size=200, val_size=100, workers=1,
                    device="cpu", out=tmp_path / "run")  # fmt: skip
    search.run()
    assert capsys.readouterr().out.splitlines()[-1] == f"report: {tmp_path / 'run' / 'report.html'}"
    page = tmp_path / "run" / "report.html"
    assert page.stat().st_size < 2_500_000
    page.unlink()
    page.mkdir()  # it cannot be written
    search.run()
    assert re.search(
        r"^report: not written, UserError: cannot write .*; try gapsearch report ", capsys.readouterr().out, re.M
    )


def test_the_report_needs_no_torch(folder):
    code = "import sys; from search.command.cli import main; print(main(['report', 'run']), 'torch' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder.parent, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr


def test_commands_name_the_folder_where_it_lies_now_quoted(tmp_path):
    folder = tmp_path / "my run's folder"
    snapshot = read_snapshot(recorded_study(recorded_trials(), chosen=1))
    page = Text(report.render(snapshot, best_content(trial=1), folder)).shown
    assert f"gapsearch confirm {shlex.quote(str(folder))}/best.yaml" in page
    assert "runs/fashion/best.yaml" not in page


def test_the_call_of_a_folder_names_its_images():
    snapshot = read_snapshot(recorded_study(recorded_trials()))
    settings, plan = {**snapshot.settings, "dataset": "folder"}, {**snapshot.plan, "data_root": "my photos"}
    code = report.search_call(replace(snapshot, settings=settings, plan=plan), "runs/fashion")
    assert "data_root='my photos'," in code
