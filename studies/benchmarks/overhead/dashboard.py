"""What the dashboard costs: the time to open a study with our additions and without, and the slow-down of a search.

    python studies/benchmarks/overhead/dashboard.py pages
    python studies/benchmarks/overhead/dashboard.py search

`pages` opens studies of 100 and 1,000 trials in headless Chromium; it needs selenium. `search` runs searches on digits,
with the dashboard and without in turn. The last figure of each line of results is a ratio of medians.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # the repository: modules are imported from there
from search.choice.constraints import Constraints
from search.choice.run import run_at_best
from search.recording.store import Store
from search.results.trial_result import TrialResult
from search.show.dashboard import Publisher
from search.show.trial_svg import trial_svg
from search.stopping.stopped import Stopped
from search.training.trial import Outcome
from studies.benchmarks.overhead.filled_study import frozen

TIMED_SEARCH = Path(__file__).with_name("timed_search.py")
EPOCHS, PORT = 20, 18431
CONSTRAINTS = Constraints(baseline_loss=0.9)
OPTUNAS_GRAPHS, ALL_GRAPHS = 4, 8  # on the page of a study: Optuna's, and these with ours
SPACE: dict[str, BaseDistribution] = {
    "depth": IntDistribution(2, 6),
    "width": IntDistribution(8, 64, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "weight_decay": FloatDistribution(0.01, 3.0, log=True),
    "batch_size": IntDistribution(32, 256, log=True),
    "augmentation": FloatDistribution(0.0, 1.0),
    "learning_rate": FloatDistribution(5e-4, 1e-2, log=True),
}


def main() -> None:
    """Measure the pages or the searches."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pages", "search"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.what == "pages":
        pages(options.repeats)
    else:
        searches(options.repeats)


def pages(repeats: int) -> None:
    """Open the page of a study on a dashboard that has just been started, until all its graphs are drawn."""
    for trials in (100, 1000):
        with tempfile.TemporaryDirectory() as folder:
            bare, full = Path(folder) / "bare", Path(folder) / "full"
            fill(bare, trials, additions=False)
            fill(full, trials, additions=True)
            seconds: dict[Path, list[float]] = {bare: [], full: []}
            for _ in range(repeats):
                for place, graphs in ((bare, OPTUNAS_GRAPHS), (full, ALL_GRAPHS)):
                    seconds[place].append(opening_seconds(place, graphs))
        without, with_them = (statistics.median(seconds[place]) for place in (bare, full))
        print(f"{trials:5,} trials: {without:.2f} s without, {with_them:.2f} s with: {with_them / without:.2f}")


def fill(folder: Path, trials: int, *, additions: bool) -> None:
    """A made-up study like that of a search; without `additions` it has no graphs and no notes."""
    (folder / "artifacts").mkdir(parents=True)
    study = Store(f"sqlite:///{folder / 'study.db'}", "made-up", seed=0).study
    rng = np.random.default_rng(0)
    study.add_trials([made_up(number, rng, folder) for number in range(trials)])
    study.set_user_attr("plan", {"trials": trials, "epochs": EPOCHS, "out": "runs/made-up"})
    study.set_user_attr("baseline", {"val_loss": CONSTRAINTS.baseline_loss})
    study.set_user_attr("choice", {"trial": 0, "band": [0, 1], "because": "made up"})
    if additions:
        Publisher(study, folder, CONSTRAINTS, EPOCHS).close()


def made_up(number: int, rng: np.random.Generator, folder: Path) -> FrozenTrial:
    """A trial whose losses fall; two in three are hopeless."""
    drawn = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number)).ask(SPACE)
    ended = outcome(number, rng)
    return frozen(ended, drawn, drawn.params, CONSTRAINTS, attached(folder, ended))


def outcome(number: int, rng: np.random.Generator) -> Outcome:
    """How that trial ended."""
    hopeless = number % 3 > 0
    epochs = int(rng.integers(3, 9)) if hopeless else EPOCHS
    train = 2 * np.arange(1, epochs + 1) ** -rng.uniform(0.5, 1.5)
    val = train + rng.uniform(0, 0.01) * np.arange(epochs) + rng.uniform(0, 0.02, epochs)
    curves = {"train_loss": train, "val_loss": val, "gap": val - train}
    curves |= dict.fromkeys(("train_accuracy", "val_accuracy", "accuracy_gap"), 1 - val / 4)
    curves |= dict.fromkeys(("val_loss_se", "gap_se", "val_rise_z"), val / 50)
    history = {name: [float(f"{value:.6g}") for value in values] for name, values in curves.items()}
    return Outcome(
        number=number,
        stopped=Stopped.HOPELESS if hopeless else Stopped.FINISHED,
        reason="made up",
        run=run_at_best(number, history, CONSTRAINTS, parameters=10_000),
        history=history,
        seconds=10.0,
    )


def attached(folder: Path, ended: Outcome) -> dict[str, Any]:
    """A picture stored as `upload_artifact` would, which itself accepts only running trials."""
    trial = TrialResult(ended.number, "RUNNING", run=ended.run, stopped=ended.stopped, history=ended.history)
    artifact = str(uuid.uuid4())
    (folder / "artifacts" / artifact).write_text(trial_svg(trial, EPOCHS) or "")
    meta = {"artifact_id": artifact, "filename": "curves.svg", "mimetype": "image/svg+xml", "encoding": None}
    return {f"artifacts:{artifact}": json.dumps(meta)}


def opening_seconds(folder: Path, graphs: int) -> float:
    """From the request for the page of the study until `graphs` graphs are drawn."""
    with dashboard(folder), browser() as chromium:
        chromium.get(f"http://127.0.0.1:{PORT}/dashboard/")  # the bundle, 6 MB, is the same for both
        began = time.monotonic()
        chromium.get(f"http://127.0.0.1:{PORT}/dashboard/studies/1")
        while chromium.execute_script("return document.querySelectorAll('.js-plotly-plot .main-svg').length") < graphs:
            if time.monotonic() - began > 120:
                sys.exit("the page was not drawn within two minutes")
            time.sleep(0.02)
        return time.monotonic() - began


@contextlib.contextmanager
def dashboard(folder: Path) -> Iterator[None]:
    """Optuna's own command, once it answers."""
    command = [str(Path(sys.executable).parent / "optuna-dashboard"), f"sqlite:///{folder / 'study.db'}"]
    command += ["--port", str(PORT), "--artifact-dir", str(folder / "artifacts")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{PORT}/dashboard/"):
                break
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,3000"):
        options.add_argument(flag)
    service = webdriver.ChromeService("/usr/bin/chromedriver")
    chromium = webdriver.Chrome(options=options, service=service)
    try:
        yield chromium
    finally:
        chromium.quit()


def searches(repeats: int) -> None:
    """Whole searches on digits, with the dashboard and without in turn, and the time spent on the dashboard."""
    seconds: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(repeats):
        for which, times in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, str(TIMED_SEARCH), which, str(Path(folder) / "run")]
                printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            whole, spent = map(float, printed.split())
            times.append(whole)
            print(f"{which:7s} {whole:6.1f} s, {spent:.2f} s on the dashboard", flush=True)
    without, with_it = statistics.median(seconds["without"]), statistics.median(seconds["with"])
    print(f"{without:.1f} s without, {with_it:.1f} s with: {with_it / without:.3f}")


if __name__ == "__main__":
    main()
