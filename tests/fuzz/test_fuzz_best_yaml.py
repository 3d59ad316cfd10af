"""A best.yaml with any of its bytes or of its values changed."""

import shutil

import pytest
import torch
import yaml
from builders import CONFIG, best_content
from fuzzing import commanded, fuzzed, tried
from hypothesis import given
from hypothesis import strategies as st

from search.data import datasets
from search.data.tensors import prepare
from search.errors import UserError
from search.results.best_yaml import load, write
from spaces import cnn

PIECES = [b"\xff", b"\x00", b"&a ", b"*a", b"!!int ''", b"!!timestamp x", b"!!python/name:os.system", b"[", b"{", b"? ",
          b": ", b"- ", b"'", b'"', b"\n", b"\t", b"%YAML 9.9\n", b"---\n", b"...\n", b"0", b"-", b".nan", b".inf",
          b"9" * 5000, b"1e999", b"~", b"<<: ", b"\xf0\x9f\x98\x80", b"\xc2\x85", b"\x1b[31m", b"[" * 2000]  # fmt: skip
ODD = [0, -1, 1, 10**9, 10**30, 2**63, 1e308, float("nan"), float("-inf"), "", "x", "\x1b[31m", "../x.py", "/x.py",
       "x" * 5000, "os", None, True, [], {}, [[]], [1, "a"], {"a": {"b": 1}}, {1: 2}]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run folder whose best.yaml and best.pt fit the real digits."""
    folder = tmp_path_factory.mktemp("whole")
    content = best_content(epochs=1)
    content["data"]["fingerprint"] = datasets.load("digits", "train", folder).fingerprint
    torch.manual_seed(0)
    write(folder, content, cnn.build(CONFIG, channels=1, image_size=(8, 8), classes=10).state_dict())
    return folder


@pytest.fixture
def copied(whole, tmp_path, monkeypatch):
    """A copy to damage; the current folder."""
    shutil.copytree(whole, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run" / "best.yaml"


bytes_changed = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 6), st.sampled_from(PIECES) | st.binary(max_size=3)),
    min_size=1,
    max_size=4,
)


def with_bytes(text, changes):
    """At each place, from 0 to 1, some bytes are taken out and others put in."""
    for place, out, into in changes:
        at = int(place * len(text))
        text = text[:at] + into + text[at + out :]
    return text


def with_value(content, draw):
    """One value, however deep, is another one, or missing; or there is one more."""
    inside = content
    while True:
        key = draw(st.sampled_from(sorted(inside)) if isinstance(inside, dict) else st.integers(0, len(inside) - 1))
        if not isinstance(inside[key], dict | list) or not inside[key] or draw(st.booleans()):
            break
        inside = inside[key]
    change = draw(st.sampled_from(["other", "gone", "near", "more"]))
    if change == "gone":
        del inside[key]
    elif change == "near" and isinstance(inside[key], int | float):
        inside[key] = draw(st.sampled_from([-inside[key], inside[key] * 2, inside[key] + 1, str(inside[key])]))
    elif change == "more" and isinstance(inside, dict):
        inside[draw(st.text(max_size=5))] = draw(st.sampled_from(ODD))
    else:
        inside[key] = draw(st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=5))


def used(path, capsys):
    """Shown, loaded, built and trained: each does it or says why not."""
    shown, _, _ = commanded(["best", str(path)], capsys)
    best = tried(lambda: load(path))
    assert (shown == 0) or isinstance(best, UserError)
    if not isinstance(best, UserError):
        tried(best.trained)
        if best.epochs < 4 and best.data["name"] == "digits":
            commanded(["train", str(path), "--device", "cpu"], capsys)


@fuzzed
@given(changes=bytes_changed)
def test_bytes(copied, capsys, changes):
    before = copied.read_bytes()
    copied.write_bytes(with_bytes(before, changes))
    used(copied, capsys)
    copied.write_bytes(before)


@fuzzed
@given(data=st.data(), count=st.integers(1, 3))
def test_values(copied, capsys, data, count):
    before = copied.read_bytes()
    content = yaml.safe_load(before)
    for _ in range(count):
        with_value(content, data.draw)
    copied.write_text(yaml.safe_dump(content, allow_unicode=data.draw(st.booleans())), encoding="utf-8")
    used(copied, capsys)
    copied.write_bytes(before)


@fuzzed
@given(changes=bytes_changed)
def test_weights(copied, changes):
    """Damaged weights are never taken for the ones that belong to it."""
    weights = copied.with_name("best.pt")
    before = weights.read_bytes()
    damaged = with_bytes(before, changes)
    weights.write_bytes(damaged)
    best = load(copied)
    assert isinstance(tried(best.trained), UserError) == (damaged != before)
    object.__setattr__(best, "weights_sha256", None)  # as of an older release
    tried(best.trained)
    weights.write_bytes(before)


def test_whole_it_is_used(copied, capsys):
    assert commanded(["best", str(copied)], capsys)[0] == 0
    assert load(copied).trained() is not None
    assert prepare(datasets.load("digits", "train", copied.parent), train_size=100, val_size=50, seed=0, flip=False)
