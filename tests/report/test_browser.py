"""The report in a real browser, on a telephone and on a desk: whole, quiet, and without the network."""

import shutil

import pytest

from penchant.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow(threads=1)
def test_the_report_asks_for_nothing_complains_of_nothing_and_fits_its_window(
    run, metrics, samples, comparison, tmp_path
):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    path, said, asked = tmp_path / "report.html", [], []
    long = {"prompt": "word " * 200, "before": "https://example.org/" + "a" * 300, "after": "一" * 300}
    write_report(
        run, metrics, samples, comparison | {"pairs": [*comparison["pairs"], comparison["pairs"][0] | long]}, path
    )
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path.as_uri())
            page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.inner_text("h1")
        browser.close()
    assert (said, asked) == ([], 2 * [path.as_uri()])
