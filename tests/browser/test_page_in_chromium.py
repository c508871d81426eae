"""The report as Chromium shows it: whole, quiet, in both colour schemes, on a phone, printed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from auto_iter.report.build import write_report
from tests.support.finished import two_iterations, with_jobs, with_truth

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
WIDTHS = {"desk": 1280, "phone": 390}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a report with every figure."""
    root = two_iterations(tmp_path_factory.mktemp("report") / "Y2023_R011705_F450")
    with_truth(root)
    with_jobs(root)
    return write_report(root, pictures=False)[0]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give a headless Chromium."""
    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", WIDTHS)
def test_it_is_whole_and_quiet(browser: Any, report: Path, scheme: str, device: str) -> None:
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": WIDTHS[device], "height": 800}
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert said == []
    assert [url for url in asked if url != report.as_uri() and not url.startswith("data:")] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[device]
    boxes = page.evaluate(
        "[...document.querySelectorAll('figure svg')].map(e => e.getBoundingClientRect().height)"
    )
    assert len(boxes) == 13
    assert min(boxes) > 100
    assert _contrast(page, "figure svg text") > 7
    assert _contrast(page, ".verdict p") > 7
    context.close()


def _contrast(page: Any, selector: str) -> float:
    """Return the contrast ratio (WCAG 2, 1.4.3) between a text and the page behind it."""
    ratio: float = page.evaluate(
        """selector => {
            const light = colour => {
                const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(each => {
                    const part = each / 255;
                    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const text = document.querySelector(selector);
            let behind = text;
            const own = each => getComputedStyle(each).backgroundColor;
            while (/rgba\\(0, 0, 0, 0\\)/.test(own(behind))) behind = behind.parentElement;
            const style = getComputedStyle(text);
            const ink = text instanceof SVGElement ? style.fill : style.color;
            const [low, high] = [light(ink), light(own(behind))].sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05);
        }""",
        selector,
    )
    return ratio


def test_a_module_is_found_in_all_figures_and_named(browser: Any, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.select_option("#find", "110")
    shown = page.evaluate(
        "[...document.querySelectorAll('g.tag.on')].map(e => e.closest('figure').dataset.figure)"
    )
    assert set(shown) == {"convergence_module_x", "convergence_module_y"}
    tag = page.locator('figure[data-figure="residual_maps"] g.tag').first
    tag.hover()
    told = page.locator('figure[data-figure="residual_maps"] output').inner_text()
    assert told.startswith("station 1 layer 0 module 3: mean")
    page.close()


def test_it_prints_on_white(browser: Any, report: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf().startswith(b"%PDF")
    page.close()
