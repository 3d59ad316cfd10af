"""report.html in a real browser, from disk, with the network off: every graph is drawn, and the page fits."""

import base64
import shutil

import pytest
from builders import SCRIPT, recorded_study, recorded_trial, recorded_trials

from search.results.snapshot import read_snapshot
from search.show.report import write_report

pytestmark = pytest.mark.browser
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
SIZES = {"desktop": (1200, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium without a network, and with its console recorded."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a study by hand with every graph, and with names that would be markup."""
    more = [recorded_trial(n, val_loss=0.5 + 0.01 * n, gap=0.01 * n, dropout=0.04 * n) for n in range(6, 12)]
    study = recorded_study(recorded_trials() + more, name=SCRIPT, chosen=1)
    return write_report(tmp_path_factory.mktemp("page"), read_snapshot(study))


def show(browser, page, size):
    from selenium.webdriver.support.ui import WebDriverWait

    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda browser: browser.execute_script("return document.body.dataset.drawn"))


@pytest.mark.parametrize("size", SIZES)
def test_every_graph_is_drawn_and_the_page_fits(browser, page, size):
    show(browser, page, size)
    assert browser.get_log("browser") == []
    graphs = browser.execute_script(
        "return [...document.querySelectorAll('.graph')].map(graph => ({"
        "  marks: graph.querySelectorAll('.point, path.point, .points path').length,"
        "  width: graph.querySelector('svg.main-svg').getBoundingClientRect().width,"
        "  room: graph.clientWidth}))"
    )
    assert len(graphs) == 5 + 3
    assert all(graph["marks"] > 0 for graph in graphs), graphs
    assert all(graph["width"] <= graph["room"] + 1 for graph in graphs)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


def test_no_label_is_cut_off_and_no_ticks_overlap(browser, page):
    for size in SIZES:
        show(browser, page, size)
        cut = browser.execute_script(
            "return [...document.querySelectorAll('.graph')].flatMap(graph => {"
            "  const box = graph.getBoundingClientRect();"
            "  return [...graph.querySelectorAll('text')].filter(text => {"
            "    const place = text.getBoundingClientRect();"
            "    return place.width > 0 && (place.left < box.left - 1 || place.right > box.right + 1);"
            "  }).map(text => text.textContent)})"
        )
        assert cut == [], size
        overlapping = browser.execute_script(
            "return [...document.querySelectorAll('.graph g.xaxislayer-above > g')].flatMap(axis => {"
            "  const places = [...axis.querySelectorAll('text')].map(text => text.getBoundingClientRect());"
            "  return places.filter((place, n) => n > 0 && place.left < places[n - 1].right"
            "    && place.right > places[n - 1].left && place.top < places[n - 1].bottom - 1"
            "    && place.bottom > places[n - 1].top + 1).map(() => axis.textContent)})"
        )
        assert overlapping == [], size
        covered = browser.execute_script(
            "return [...document.querySelectorAll('.graph')].flatMap(graph => {"
            "  const legend = graph.querySelector('.legend')?.getBoundingClientRect();"
            "  return !legend ? [] : [...graph.querySelectorAll('.xtitle, .xtick text')].filter(text => {"
            "    const place = text.getBoundingClientRect();"
            "    return place.bottom > legend.top + 1 && place.right > legend.left && place.left < legend.right;"
            "  }).map(text => text.textContent)})"
        )
        assert covered == [], size


def column(browser, number):
    return browser.execute_script(
        "return [...document.querySelectorAll('table.sortable tbody tr')].map("
        f"  row => row.cells[{number}].textContent)"
    )


def test_all_trials_can_be_sorted_with_the_keyboard(browser, page):
    show(browser, page, "desktop")
    titles = [one.text for one in browser.find_elements("css selector", "table.sortable th button")]
    assert titles[:3] == ["trial", "val_loss", "gap"]
    assert titles[-3:] == ["dropout", "width", "norm"]
    assert len(column(browser, 0)) == 12
    for title, down in (("val_loss", False), ("val_loss", True), ("stopped", False)):
        number = titles.index(title)
        button = browser.find_elements("css selector", "table.sortable th button")[number]
        button.send_keys("\n")
        header = button.find_element("xpath", "..")
        assert header.get_attribute("aria-sort") == ("descending" if down else "ascending")
        cells = column(browser, number)
        filled = [cell for cell in cells if cell]
        assert cells == filled + [""] * (len(cells) - len(filled))  # nothing at the end, whichever way round
        keys = [float(cell.split()[0]) for cell in filled] if title == "val_loss" else filled
        assert keys == sorted(keys, reverse=down)
    assert len(browser.find_elements("css selector", "th[aria-sort]")) == 1


def test_a_wide_table_scrolls_on_a_phone(browser, page):
    show(browser, page, "phone")
    wide = browser.execute_script(
        "const box = document.querySelector('table.sortable').parentElement; box.scrollLeft = 9999;"
        "return [box.scrollWidth > box.clientWidth, box.scrollLeft > 0, box.tabIndex, box.clientWidth <= innerWidth]"
    )
    assert wide == [True, True, 0, True]


def test_names_are_shown_as_text(browser, page):
    show(browser, page, "desktop")
    assert SCRIPT in browser.find_element("tag name", "h1").text
    titles = [title.text for title in browser.find_elements("css selector", ".slices .gtitle")]
    assert titles == ["dropout", "width", "norm"]
    ticks = [tick.text for tick in browser.find_elements("css selector", ".slices .graph:last-child .xtick")]
    assert SCRIPT[:11] + "…" in ticks


def test_it_prints(browser, page):
    show(browser, page, "desktop")
    printed = base64.b64decode(
        browser.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})["data"]
    )
    assert printed.startswith(b"%PDF")
    assert 3 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 12
    assert browser.get_log("browser") == []


def test_a_browser_that_cannot_unpack_says_so(browser, page, tmp_path):
    text = page.read_text().replace("new DecompressionStream", "new MissingStream")
    old = tmp_path / "old.html"
    old.write_text(text)
    browser.get(old.as_uri())
    notice = browser.find_element("id", "without-graphs")
    assert notice.is_displayed()
    assert "cannot draw the graphs" in notice.text
    assert browser.find_elements("class name", "graph") == []
    browser.get_log("browser")  # the error that it reported
