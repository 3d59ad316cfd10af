"""Does a network underfit, fit, or overfit?"""

import pytest

from search.choice.fit import fit_regime
from search.measurement import Measurement


def epoch(train_accuracy, val_accuracy, *, val_loss=0.5, gap=0.4, gap_se=0.1):
    return Measurement(val_loss - gap, val_loss, train_accuracy, val_accuracy, 0.0, gap_se)


@pytest.mark.parametrize(
    ("measured", "regime"),
    [
        (epoch(0.99, 0.70, val_loss=1.0), "underfit"),
        (epoch(0.99, 0.70, val_loss=1.2), "underfit"),
        (epoch(0.99, 0.70, val_loss=0.9), "true overfit"),
        (epoch(0.98, 0.92), "true overfit"),
        (epoch(0.97, 0.60), "partial overfit"),
        (epoch(0.99, 0.95), "partial overfit"),
        (epoch(0.90, 0.86), "partial overfit"),
        (epoch(1.00, 0.95), "partial overfit"),  # 1.0 - 0.95 is rounded to more than 0.05
        (epoch(0.83, 0.80), "good"),  # 0.83 - 0.80 to more than 0.03
        (epoch(0.90, 0.88), "good"),
        (epoch(0.99, 0.97), "good"),
        (epoch(0.90, 0.95, gap=-0.4), "good"),
        (epoch(0.99, 0.70, gap_se=0.25), "good"),
        (epoch(0.99, 0.70, gap_se=0.19), "true overfit"),
    ],
)
def test_fit_regime(measured, regime):
    assert fit_regime(measured, baseline_loss=1.0) == regime
