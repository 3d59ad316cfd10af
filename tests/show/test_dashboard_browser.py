"""The dashboard of a real, finished run as Chromium shows it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
from builders import ROOT, SCRIPT

from search import Search

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (shutil.which("chromium") and shutil.which("chromedriver")), reason="no Chromium here"),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1440,3000"
)
GRAPHS = ("curves", "loss-against-gap", "epochs", "importance")
TITLES = "return [...document.querySelectorAll('[id^=\"user-defined-plot\"] .gtitle')].map(title => title.textContent)"
IMAGES = "return [...document.images].filter(one => one.src.includes('/artifacts/') && one.naturalWidth > 100)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished search on digits, with a name that is markup. All its networks learn fast."""
    folder = tmp_path_factory.mktemp("dashboard") / "run"
    fast = {"learning_rate": (5e-3, 1e-2), "batch_size": (32, 48), "width": (16, 24), "depth": (2, 3)}
    sizes = {"trials": 12, "epochs": 4, "train_size": 400, "val_size": 200}
    Search(name=SCRIPT, dataset="digits", ranges=fast, out=str(folder), **sizes).run()
    return folder


@pytest.fixture(scope="module")
def url(run):
    """Of `gapsearch dashboard`, which then ends quietly on Ctrl-C."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "search", "dashboard", str(run), "--port", "0"]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield re.search(r"http://\S+", server.stdout.readline())[0]
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=20)[1] == ""
    assert server.returncode == 0


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def wait_for(found, seconds=60):
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "not shown in time"
        time.sleep(0.1)
    return value


def text_of(chromium):
    return chromium.execute_script("return document.body.innerText")


def test_the_study_page_shows_our_graphs(chromium, url):
    chromium.get(f"{url}studies/1")
    wait_for(lambda: len(chromium.execute_script(TITLES)) == len(GRAPHS))
    titles = " | ".join(chromium.execute_script(TITLES))
    for part in ("Curves:", "Validation loss against gap", "epochs trained", "What drives the loss and the gap"):
        assert part in titles
    assert "val_loss" in text_of(chromium)
    assert SCRIPT in text_of(chromium)


def test_the_study_note_names_the_choice(chromium, url):
    chromium.get(f"{url}studies/1/note")
    shown = wait_for(lambda: "Where it stands" in (text := text_of(chromium)) and text)
    assert re.search(r"Chosen at present: trial \d", shown)
    assert "12 of 12 trials ended" in shown
    assert SCRIPT in shown


def test_a_trial_page_has_its_note_and_its_curves(chromium, url):
    chromium.get(f"{url}studies/1/trials?numbers=0")
    wait_for(lambda: "Trained for all 4 epochs" in text_of(chromium))
    wait_for(lambda: chromium.execute_script(IMAGES))
    assert "curves.svg" in text_of(chromium)


def test_no_errors_and_no_request_leaves_the_machine(chromium, url):
    """Of all the pages above."""
    chromium.get(f"{url}studies/1")
    wait_for(lambda: len(chromium.execute_script(TITLES)) == len(GRAPHS))
    assert [entry["message"] for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    requested = [
        event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
    ]
    hosts = {urlsplit(address).hostname for address in requested if address.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}
