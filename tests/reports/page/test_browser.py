"""The page in a real browser: sizes, light and dark, sorting, copying, and axe-core."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from reports.figures import figures
from reports.latex import render
from reports.page import page

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
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(crossed, tmp_path_factory):
    report = crossed()
    text = page(report, figures(report, titled=False), latex={table.key: render(table) for table in report.tables})
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def visit(browser, address):
    """Return a function that opens the page in a size, light or dark, with or without scripts."""

    def open_(size="desk", scheme="light", *, media="", scripts=True):
        width, height = SIZES[size]
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(address)
        return browser

    yield open_
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_has_no_error_fetches_nothing_and_satisfies_axe(visit, size, scheme, tmp_path):
    driver = visit(size, scheme)

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
    assert driver.find_element("id", "status").text == "" or "accuracy" in driver.find_element(
        "id", "status"
    ).get_attribute("textContent")
    button.click()
    assert column(driver, n) == ascending[::-1]
    button.click()
    assert column(driver, n) == before
    assert headers(driver)[n].get_attribute("aria-sort") == "none"


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


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_source_of_a_table_is_copied_with_and_without_a_clipboard_of_its_own(visit, crossed, clipboard):
    driver = visit()
    if clipboard:
        driver.execute_script(
            "window.kept = ''; Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (t) => { window.kept = t; }}})"
        )
    else:
        driver.execute_script(
            "window.kept = ''; Object.defineProperty(navigator, 'clipboard', {value: undefined});"
            "document.addEventListener('copy', () => { window.kept = document.activeElement.value; });"
        )
    button = driver.find_element("css selector", "button[data-copy='latex-comparison']")

    button.click()

    expected = driver.find_element("id", "latex-comparison").get_attribute("textContent")
    assert driver.execute_script("return window.kept") == expected
    assert expected.startswith("% Needs ablation-preamble.tex")


def test_without_scripts_every_word_is_there_and_no_dead_button(visit):
    driver = visit(scripts=False)

    text = driver.find_element("tag name", "body").text
    assert "Which part helps?" in text
    assert "Score and cost" in text
    assert [b for b in driver.find_elements("tag name", "button") if b.is_displayed()] == []
    assert "ablation-preamble" in driver.find_element("id", "latex-comparison").get_attribute("textContent")


def test_print_shows_whole_tables_and_no_buttons(visit, tmp_path):
    driver = visit(media="print")

    assert [b for b in driver.find_elements("css selector", ".actions button") if b.is_displayed()] == []
    overflow = driver.execute_script("return getComputedStyle(document.querySelector('.scroll')).overflow")
    assert overflow == "visible"
    printed = driver.execute_cdp_cmd("Page.printToPDF", {})
    assert len(printed["data"]) > 10_000
