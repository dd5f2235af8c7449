"""The page in a real browser: sizes, light and dark, sorting, copying, and axe-core."""

import html
import os
import shutil
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from reports.figures import figures
from reports.language import speaking
from reports.latex import render
from reports.page import page
from reports.plan import Plan
from reports.report import Provenance, report_on

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SIZES = {"phone": (360, 740), "tablet": (820, 1180), "desk": (1440, 900)}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None or DRIVER is None:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing where it must not be")
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    allowed = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    driver.execute_cdp_cmd("Browser.grantPermissions", allowed)
    yield driver
    driver.quit()


def made(report, **more):
    return page(
        report, figures(report, titled=False), latex={table.key: render(table) for table in report.tables}, **more
    )


@pytest.fixture(scope="module")
def address(crossed, tmp_path_factory):
    known = Provenance("question: Which?\n", commands=("ablate run crossed",))
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(made(crossed(more={"provenance": known})), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def hard(analysis, tmp_path_factory):
    """A page in Chinese with a mark, a failure, an A/A pair that differs, and names that are long, wide or code."""
    names = [
        "none",
        "<script>alert(1)</script>",
        "\x1b[31m红色_50% $x$",
        f"coordinate({'reduction=8, ' * 8})",
        "again",
        "dead",
    ]
    scores = {name: [0.9 + 0.01 * i + 0.002 * seed for seed in range(4)] for i, name in enumerate(names)}
    scores["again"] = [0.95 + 0.0001 * seed for seed in range(4)]
    scores["dead"] = [0.9, None, None, 0.9]
    found = analysis(
        scores, calibration=[("none", "again")], marks=["Selected on the test part."], notes=["{{ 7 * 7 }}"]
    )
    choices = {name: {"attention": name} for name in names}
    with speaking("zh"):
        report = report_on(found.runs, Plan(**(vars(found.plan) | {"choices": choices})))
        text = made(replace(report, errors={("dead", 1): "diverged"}), lang="zh")
    path = tmp_path_factory.mktemp("hard") / "index.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser, address):
    """Return a function that opens the page in a size, light or dark, with or without scripts."""

    def open_(size="desk", scheme="light", *, media="", scripts=True, at=address):
        width, height = SIZES[size]
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"},
        )
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},  # a click waits for no scrolling
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(at)
        return browser

    yield open_
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["address", "hard"])
def test_the_page_fits_has_no_error_fetches_nothing_and_satisfies_axe(visit, kind, size, scheme, tmp_path, request):
    driver = visit(size, scheme, at=request.getfixturevalue(kind))

    assert driver.execute_script("return [...document.images].filter((one) => one.naturalWidth < 100).length") == 0
    assert driver.execute_script("return document.documentElement.scrollWidth") <= SIZES[size][0]
    assert driver.get_log("browser") == []
    requests = [
        entry["message"] for entry in driver.get_log("performance") if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert [one for one in requests if '"url":"http' in one] == []
    assert driver.save_screenshot(str(tmp_path / f"{size}-{scheme}.png"))
    spec = find_spec("axe_playwright_python")
    assert spec is not None, "axe-playwright-python brings axe-core"
    axe = (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")
    driver.execute_script(axe)
    found = driver.execute_async_script("axe.run(document, {resultTypes: ['violations']}).then(arguments[0])")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []


def column(driver, n):
    rows = driver.find_elements("css selector", "#table-comparison ~ .scroll tbody tr")
    return [
        row.find_elements("css selector", "th, td")[n].text.replace("\u2007", "").replace("\xa0", " ") for row in rows
    ]


def headers(driver):
    return driver.find_elements("css selector", "#table-comparison ~ .scroll thead tr:last-child th")


def test_a_click_on_a_header_sorts_by_figures_and_the_third_brings_the_order_back(visit):
    driver = visit()
    names = [header.get_attribute("data-name") for header in headers(driver)]
    n = names.index("accuracy %")
    before = column(driver, n)
    button = headers(driver)[n].find_element("tag name", "button")

    button.click()
    ascending = column(driver, n)
    assert ascending == sorted(before)
    assert headers(driver)[n].get_attribute("aria-sort") == "ascending"
    said = driver.find_element("id", "status").get_attribute("textContent")
    assert said == "Sorted by accuracy %, ascending"
    button.click()
    assert column(driver, n) == ascending[::-1]
    button.click()
    assert column(driver, n) == before
    assert headers(driver)[n].get_attribute("aria-sort") == "none"


def test_every_column_of_figures_sorts_by_size_with_what_is_missing_last(visit, hard):
    driver = visit(at=hard)
    read = """
        return [...document.querySelectorAll("table.sortable")].flatMap((table) =>
            [...table.tHead.rows[table.tHead.rows.length - 1].cells].map((header, n) => {
                if (!header.matches(".figure, .mark")) return [];
                const values = () => [...table.tBodies[0].rows].map((row) => row.cells[n].dataset.value);
                return [0, 1].map(() => { header.querySelector("button").click(); return values(); });
            })).filter((one) => one.length);
    """

    columns = driver.execute_script(read)

    assert len(columns) > 15
    assert any("" in up and any(value.startswith("-") for value in up) for up, _ in columns)
    for up, down in columns:
        there = sorted(float(value) for value in up if value)
        missing = [""] * (len(up) - len(there))
        assert [float(value) if value else "" for value in up] == there + missing
        assert [float(value) if value else "" for value in down] == there[::-1] + missing


def test_the_keyboard_reaches_and_sorts_the_table(visit):
    from selenium.webdriver.common.keys import Keys

    driver = visit()
    before = column(driver, 0)
    button = headers(driver)[0].find_element("tag name", "button")
    driver.execute_script("arguments[0].focus()", button)

    button.send_keys(Keys.ENTER)

    assert headers(driver)[0].get_attribute("aria-sort") == "ascending"
    assert sorted(before) == column(driver, 0)
    driver.find_element("tag name", "body").send_keys(Keys.HOME)
    first = driver.execute_script("document.activeElement.blur(); return document.querySelector('a').className")
    assert first == "skip"


@pytest.mark.parametrize("own", [True, False])
def test_the_source_of_a_table_is_copied_with_and_without_a_clipboard_of_its_own(visit, own):
    from selenium.webdriver.support.wait import WebDriverWait

    driver = visit()
    driver.execute_script("window.board = navigator.clipboard; return board.writeText('before')")
    if not own:
        driver.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    button = driver.find_element("css selector", "button[data-copy='latex-comparison']")

    button.click()

    expected = driver.find_element("id", "latex-comparison").get_attribute("textContent")
    WebDriverWait(driver, 5).until(lambda _: button.text == "Copied")
    assert driver.execute_script("return board.readText()") == expected
    assert r"\begin{tabular}" in expected


def test_in_a_frame_of_its_own_as_mlflow_shows_it_the_page_sorts_and_has_no_error(visit, crossed, tmp_path):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.wait import WebDriverWait

    outer = tmp_path / "outer.html"
    inner = html.escape(made(crossed()))
    outer.write_text(
        f'<iframe sandbox="allow-scripts" width="1200" height="800" srcdoc="{inner}"></iframe>', encoding="utf-8"
    )
    driver = visit(at=outer.as_uri())
    driver.switch_to.frame(0)

    headers(driver)[0].find_element("tag name", "button").click()
    button = driver.find_element("css selector", "button[data-copy='latex-comparison']")
    button.send_keys(Keys.ENTER)

    WebDriverWait(driver, 5).until(lambda _: button.text == "Copied")
    assert headers(driver)[0].get_attribute("aria-sort") == "ascending"
    driver.switch_to.default_content()
    assert driver.get_log("browser") == []


def test_only_a_table_that_scrolls_says_so(visit):
    for size, expected in (("phone", True), ("desk", False)):
        driver = visit(size)
        scroll = driver.find_element("css selector", "#table-comparison ~ .scroll")
        hint = driver.find_element("css selector", "#table-comparison ~ .hint")

        assert driver.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", scroll) is expected
        assert hint.is_displayed() is expected


def test_names_stay_in_view_when_a_table_is_scrolled_sideways(visit):
    driver = visit("phone")
    place = """
        const scroll = document.querySelector("#table-effects ~ .scroll");
        scroll.scrollLeft = 200;
        const kept = [...scroll.querySelectorAll(".kept")].map((one) => one.getBoundingClientRect().left);
        return [scroll.getBoundingClientRect().left, ...kept];
    """

    left, *kept = driver.execute_script(place)

    assert len(kept) == 5
    assert kept == [left] * 5


def test_without_scripts_every_word_is_there_and_no_dead_button(visit):
    driver = visit(scripts=False)

    text = driver.find_element("tag name", "body").text
    assert "Which part helps?" in text
    assert "Score and cost" in text
    assert [b for b in driver.find_elements("tag name", "button") if b.is_displayed()] == []
    assert r"\begin{tabular}" in driver.find_element("id", "latex-comparison").get_attribute("textContent")


def test_print_shows_whole_tables_and_no_buttons(visit, tmp_path):
    driver = visit(media="print")

    assert [b for b in driver.find_elements("css selector", ".actions button") if b.is_displayed()] == []
    overflow = driver.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflow")
    assert overflow == "visible"
    source = driver.find_element("css selector", "#reproduce ~ details pre")
    assert driver.execute_script("return arguments[0].checkVisibility()", source)
    latex = driver.find_element("id", "latex-comparison")
    assert not driver.execute_script("return arguments[0].checkVisibility()", latex)
    printed = driver.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 10_000
