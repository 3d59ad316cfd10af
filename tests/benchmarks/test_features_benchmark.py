"""The benchmark of kept features runs, and finds them."""

import re

import pytest

pytest.importorskip("torchvision.models")


def test_it_prints_three_trials(monkeypatch, capsys, own_cache):
    from studies.benchmarks import features

    flags = "--data digits --backbone mobilenet_v3_small --train-size 80 --epochs 2"
    monkeypatch.setattr("sys.argv", ["features.py", *flags.split()])
    features.main()
    seconds = [float(found) for found in re.findall(r"([0-9.]+) s$", capsys.readouterr().out, flags=re.MULTILINE)]
    assert len(seconds) == 3
    assert seconds[1] < seconds[2]
