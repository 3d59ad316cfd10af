"""The table of trials: its columns, and how they are set."""

from builders import trial

from search.choice.fit import Fit
from search.show.trial_table import CHOSEN, FIGURES, FRONT, STATE, TRIAL, parameter, table
from search.stopping.stopped import Stopped


def test_a_header_and_a_line_for_each_trial():
    trials = [
        trial(12, chosen=True, front=True, params={"lr": 0.123456}),
        trial(3, stopped=Stopped.OVERFIT, val=(0.9, 0.6, 0.7), fit=Fit.PARTIAL_OVERFIT, params={"lr": 1}),
        trial(4, "PRUNED", Stopped.OUT_OF_MEMORY, val=(), train=()),
    ]
    assert table(trials, (CHOSEN, TRIAL, *FIGURES, STATE, FRONT, parameter("lr"))) == [
        "    trial         val_loss              gap  accuracy  fit              stopped        best epoch  parameters"
        "  state     front      lr",
        "->     12  0.5000 ± 0.0100  0.3000 ± 0.0200     87.5%  good             finished           3 of 3       1,000"
        "  COMPLETE  front  0.1235",
        "        3  0.6000 ± 0.0100  0.2000 ± 0.0200     87.5%  partial overfit  overfit            2 of 3       1,000"
        "  COMPLETE              1",
        "        4                                                               out_of_memory                        "
        "  PRUNED",
    ]


def test_balanced_accuracy_stands_where_a_trial_has_it():
    even, uneven = trial(0), trial(1, val_balanced_accuracy=0.613)
    assert "balanced" not in table([even], (TRIAL, *FIGURES))[0]
    header, first, second = table([even, uneven], (TRIAL, *FIGURES))
    at = header.index("balanced")
    assert (first[at:].split()[0], second[at:].split()[0]) == ("good", "61.3%")


def test_what_exceeds_the_ceiling_says_so():
    def fit(**known):
        [column] = [column for column in FIGURES if column.title == "fit"]
        return column.cell(trial(0, **known))

    assert fit(feasible=False) == "good (above --max-gap)"
    assert fit(feasible=False, fit=Fit.UNDERFIT) == "underfit"
    assert fit() == "good"


def test_unknown_sizes_of_networks_are_left_out():
    [column] = [column for column in FIGURES if column.title == "parameters"]
    assert [column.cell(trial(0, parameters=count)) for count in (0, 12345)] == ["", "12,345"]


def test_the_figures_fit_a_terminal_of_120_columns():
    widest = trial(12345, stopped=Stopped.OUT_OF_MEMORY, parameters=123_456_789, fit=Fit.PARTIAL_OVERFIT)
    assert max(map(len, table([widest], (CHOSEN, TRIAL, *FIGURES)))) <= 120


def test_no_trials_make_a_header():
    assert table([], (TRIAL, STATE)) == ["trial  state"]
