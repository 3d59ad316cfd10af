"""Drawing a configuration by hand."""

import optuna

from search.checks.drawing import draw, value_at
from spaces import cnn


def test_it_draws_what_it_is_told_and_optuna_says_nothing_of_it():
    optuna.logging.set_verbosity(optuna.logging.INFO)
    drawn = draw(cnn.suggest, lambda name, distribution: value_at(distribution, 0.0))
    assert (drawn.config["depth"], drawn.params["width"]) == (2, 8)
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
