"""The explorer in a real browser: controls move, numbers are Python's, and nothing goes wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest

from commensal import explore, sweep
from commensal.explore._cells import cells_of
from commensal.explore._live import live_map, settings_of
from commensal.explore._pack import unpacked
from commensal.explore._page import render
from tests.explore.serving import serving
from tests.explore.small_run import NASTY, small_run

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium or google-chrome is installed"
)

ALPHA = BETA = (0.0, 0.25, 0.5, 0.75, 1.0)
HUMANS = (0.0, 0.4)
MODELS = (2, 4)
# with the data of the paper's size and fresh prompts, K = 4 has an unstable middle
SYSTEM: dict[str, Any] = {"alpha": ALPHA, "beta": BETA, "models": MODELS, "prompts": "fresh"}


@pytest.fixture(scope="module")
def sweeps() -> list[Any]:
    return [sweep.regression(**SYSTEM, human_share=share) for share in HUMANS]


@pytest.fixture(scope="module")
def file(sweeps, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(explore.sweep_page(sweeps), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        one = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Any]]:
    """Open pages; fail where one logs an error or asks for anything from elsewhere."""
    contexts, said, asked = [], [], []

    def open_page(address: str, width: int = 1200, scheme: str = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(
            "navigator.clipboard.writeText = async (text) => { window.copied = text; }"
        )
        page.on("console", lambda one: one.type in ("error", "warning") and said.append(one.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("html[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not re.match(r"(file:|data:|http://127\.0\.0\.1:)", url)] == []


def numbers(page: Any) -> dict[str, float]:
    """The numbers of the chosen cell, as the page has them."""
    script = "all => all.map(one => [one.dataset.name, one.dataset.value])"
    return {n: float(v) for n, v in page.eval_on_selector_all("td[data-name]", script)}


def press(page: Any, selector: str, *keys: str) -> None:
    page.focus(selector)
    for key in keys:
        page.keyboard.press(key)


def test_numbers_are_those_of_python(opened, file, sweeps) -> None:
    page = opened(file)
    for i, share in enumerate(HUMANS):
        press(page, "#human_share", "Home", *["ArrowRight"] * i)
        for j, k in enumerate(MODELS):
            press(page, "#models", "Home", *["ArrowRight"] * j)
            for a, b in ((1, 1), (2, 2), (3, 4), (0, 2)):
                press(page, "#at-alpha", "Home", *["ArrowRight"] * a)
                press(page, "#at-beta", "Home", *["ArrowRight"] * b)
                cell = cells_of(sweeps[i]).isel(reads=0).sel(models=k, alpha=ALPHA[a], beta=BETA[b])
                found = numbers(page)
                assert set(found) == {
                    "spectral_radius",
                    "efficiency",
                    "error_own",
                    "error_others",
                    "homogenisation",
                    "error",
                }
                for name, value in found.items():
                    expected = np.float32(cell[name])
                    np.testing.assert_allclose(
                        value, expected, rtol=1e-6, err_msg=f"{name} {share}"
                    )


def test_sentences_name_the_verdict_the_bound_and_the_best_mix(opened, file, sweeps) -> None:
    cells = cells_of(sweeps[0]).isel(reads=0).sel(models=4)
    unstable = cells.status.sel(alpha=0.5, beta=0.5) == 1
    assert bool(unstable)
    page = opened(f"{file}#models=4&alpha=0.5&beta=0.5")
    said = page.inner_text("#said")
    assert f"ρ = {float(cells.spectral_radius.sel(alpha=0.5, beta=0.5)):.3g}" in said
    assert "✗ Unstable: errors grow" in said
    assert "at most 1.5: the bound (1 + √4)/2" in said
    best = f"α = {float(cells.best_alpha):.3g}, β = {float(cells.best_beta):.3g} (★)"
    assert best in said
    page.get_by_role("button", name="Go to the best mix").click()
    said = page.inner_text("#said")
    assert "✓ Stable" in said
    assert np.isnan(float(cells.best_efficiency))
    assert f"This is the best mix, {best} of the grid, though some model stays biased." in said
    press(page, "#human_share", "End")
    press(page, "#at-alpha", "End", "ArrowLeft")
    cells = cells_of(sweeps[1]).isel(reads=0).sel(models=4)
    here = cells.sel(alpha=0.75, beta=float(page.inner_text("output[for=at-beta]")))
    said = page.inner_text("#said")
    assert f"Efficiency {float(here.efficiency):.3g}: more than all real data" in said
    gain = 100 * (1 - float(cells.best_error / here.error))
    assert f"would cut the mean error by {gain:.2g} %" in said
    humans = "If the human data are as rich as the web's, ρ is at most 1 − φ times that: 0.9."
    assert humans in said


def test_human_data_make_the_unstable_cell_stable(opened, file, sweeps) -> None:
    page = opened(f"{file}#models=4&alpha=0.5&beta=0.5")
    assert page.get_attribute('path[fill="url(#hatch)"]', "d")
    assert page.get_attribute("path.contour", "d")
    press(page, "#human_share", "End")
    assert bool(cells_of(sweeps[1]).status.sel(models=4, alpha=0.5, beta=0.5).item() == 0)
    assert "✓ Stable" in page.inner_text("#said")


def test_the_map_takes_keys_and_clicks(opened, file) -> None:
    page = opened(file)
    press(page, "#map", "ArrowRight", "ArrowUp", "ArrowUp")
    assert "#alpha=0.75&beta=1" in page.evaluate("location.hash")
    assert page.input_value("#at-alpha") == "3"
    press(page, "#map", "Home")
    assert page.input_value("#at-alpha") == "0"
    box = page.locator("#map canvas").bounding_box()
    # the cell of α = 0.25, β = 0.75, away from its edges
    page.mouse.click(box["x"] + 0.27 * box["width"], box["y"] + 0.27 * box["height"])
    assert "alpha=0.25&beta=0.75" in page.evaluate("location.hash")


def test_the_state_survives_a_reload(opened, file) -> None:
    page = opened(file)
    press(page, "#models", "End")
    press(page, "#human_share", "End")
    page.select_option("#show", index=1)
    press(page, "#at-alpha", "Home", "ArrowRight")
    before = page.inner_text("#said"), page.input_value("#show"), numbers(page)
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert (page.inner_text("#said"), page.input_value("#show"), numbers(page)) == before
    assert page.input_value("#models") == "1"
    elsewhere = opened(page.evaluate("location.href"))
    assert elsewhere.inner_text("#said") == before[0]


def test_numbers_and_the_command_can_be_copied(opened, file, sweeps) -> None:
    page = opened(f"{file}#models=4&human_share=0.4")
    page.get_by_role("button", name="Copy numbers (CSV)").click()
    head, *rows = page.evaluate("copied").splitlines()
    assert head.startswith("human_share,reads,models,alpha,beta,spectral_radius,")
    assert len(rows) == len(ALPHA) * len(BETA)
    cells = cells_of(sweeps[1]).isel(reads=0).sel(models=4)
    for row in rows:
        share, _, k, alpha, beta, radius, *_ = row.split(",")
        assert (share, k) == ("0.4", "4")
        expected = np.float32(cells.spectral_radius.sel(alpha=float(alpha), beta=float(beta)))
        np.testing.assert_allclose(float(radius), expected, rtol=1e-6)
    page.get_by_role("button", name="Copy the command").click()
    commands = page.evaluate("copied").splitlines()
    assert commands[1] == (
        "commensal sweep regression --alpha 0:1:5 --beta 0:1:5 --human-share 0.4 --models 2,4 "
        "--prompts fresh"
    )
    page.click("text=Command that simulates this cell")
    assert page.inner_text("pre") == (
        "commensal simulate regression --human-share 0.4 --prompts fresh --models 4 --alpha 0.5 "
        "--beta 0.5"
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save picture").click()
    assert Path(saved.value.path()).read_bytes().startswith(b"\x89PNG")


_UNNAMED = """() => [...document.querySelectorAll("input, select, button, [role=application]")]
  .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel))
  .map((one) => one.outerHTML)"""
_CONTRASTS = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((one) => one / 255)
      .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  const texts = document.querySelectorAll("p, label, output, button, summary, h1, svg text");
  return [...texts].map((one) => {
    const look = getComputedStyle(one);
    const ink = light(one.tagName === "text" ? look.fill : look.color);
    return [(Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), one.textContent];
  });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_on_a_phone_by_anybody(opened, file, scheme) -> None:
    page = opened(f"{file}#models=4", width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(_UNNAMED) == []
    assert min(page.evaluate(_CONTRASTS))[0] >= 4.5  # WCAG AA
    assert page.get_by_role("slider", name="K, number of models").is_visible()
    assert page.get_by_role("application", name=re.compile("Map of growth of errors")).is_visible()
    assert page.get_attribute("#said", "aria-live") == "polite"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")


def test_colours_are_told_apart_without_hue() -> None:
    script = Path("commensal/explore/explorer.js").read_text(encoding="utf-8")
    scales = {
        name: re.findall(r"#[0-9a-f]{6}", re.search(rf"{name} = \[(.*?)\]", script, re.S)[1])
        for name in ("CIVIDIS", "RED_BLUE")
    }
    light = {name: [lightness(one) for one in colours] for name, colours in scales.items()}
    assert (np.diff(light["CIVIDIS"]) > 0).all()
    middle = len(light["RED_BLUE"]) // 2
    assert (np.diff(light["RED_BLUE"][:middle]) > 0).all()
    assert (np.diff(light["RED_BLUE"][middle:]) < 0).all()


def lightness(colour: str) -> float:
    """Relative luminance of a colour, as WCAG has it."""
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_the_page_of_a_run_is_moved_about_in(opened, tmp_path) -> None:
    path = tmp_path / "texts.html"
    small_run(tmp_path / "run")
    path.write_text(explore.run_page(tmp_path / "run", texts=True), encoding="utf-8")
    page = opened(f"{path.as_uri()}#tab=texts")
    assert NASTY in page.inner_text("#panel-texts table")
    assert page.locator("img").count() == 0
    path = tmp_path / "run.html"
    path.write_text(explore.run_page("runs/demo"), encoding="utf-8")
    page = opened(path.as_uri(), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first = page.inner_text(".said")
    page.get_by_label("measure").select_option(label="similarity of the models' texts")
    assert "Similarity of the models' texts, by generation" in page.inner_text(".said")
    page.get_by_label("grid point").select_option(index=3)
    second = page.inner_text(".said")
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.inner_text(".said") == second != first


def test_an_embedded_page_follows_the_switch_of_the_page_around_it(browser, file) -> None:
    inside = Path(url2pathname(urlsplit(file).path)).read_text(encoding="utf-8")
    around = '<html data-theme="dark"><body><iframe src="/inside.html"></iframe></body></html>'
    page = browser.new_page(color_scheme="light")
    page.route(
        "http://docs.example/**",
        lambda route: route.fulfill(
            body=inside if route.request.url.endswith("inside.html") else around,
            content_type="text/html; charset=utf-8",
        ),
    )
    page.goto("http://docs.example/")
    frame = page.frame(url="http://docs.example/inside.html")
    frame.wait_for_selector("html[data-ready]")
    assert frame.get_attribute("html", "data-scheme") == "dark"
    assert frame.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 17, 23)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    frame.wait_for_selector("html[data-scheme=light]")
    page.close()


_SLOW = 300_000  # milliseconds: a busy machine compiles for minutes


def test_the_live_map_answers_as_python_does(opened, tmp_path) -> None:
    small_run(tmp_path / "run")
    with serving(explore.live_server()) as server:
        page = opened(f"{server.url}#models=2&prompts=worst case&alpha=0.5&beta=0.5")
        page.wait_for_selector("html[data-whole]", timeout=_SLOW)
        for noise, key in (("1", None), ("2", "ArrowRight")):
            if key:
                page.evaluate("delete document.documentElement.dataset.whole")
                press(page, "#noise", key)
                page.wait_for_selector("html[data-whole]", timeout=_SLOW)
            settings = {"models": "2", "prompts": "worst case", "noise": noise}
            found = live_map(settings_of(settings))["quantities"]
            at = {name: unpacked(text, (41, 41))[20, 20] for name, text in found.items()}
            np.testing.assert_allclose([numbers(page)[name] for name in at], list(at.values()))
            assert "✗ Unstable" in page.inner_text("#said")
        page.click("text=Command that simulates this cell")
        assert page.inner_text("pre") == (
            "commensal simulate regression --design misaligned --noise 2 --models 2 --alpha 0.5 "
            "--beta 0.5"
        )
        page.wait_for_selector("#panel-map .charts section", timeout=_SLOW)
        assert "simulated, 400 runs: mean ± 2 s.d." in page.inner_text("#panel-map")
        page.select_option("#memory", label="window 3")
        page.wait_for_function("document.querySelector('#said').innerText.includes('last 3')")
        found = live_map(settings_of(settings), memory="window 3")["quantities"]
        growth = unpacked(found["spectral_radius"], (41, 41))[20, 20]
        np.testing.assert_allclose(numbers(page)["spectral_radius"], growth)
        assert "✗ Unstable: errors grow by the factor" in page.inner_text("#said")
        assert page.get_by_role("button", name="Go to the best mix").is_disabled()
        assert page.inner_text("pre").endswith("--memory window --window 3")
        page.get_by_role("tab", name="Runs").click()
        page.get_by_label("folder of a run").fill(str(tmp_path / "run"))
        page.keyboard.press("Enter")
        page.wait_for_selector("#panel-runs td", timeout=_SLOW)
        assert NASTY in page.inner_text("#panel-runs table")
        assert page.locator("#panel-runs img").count() == 0
        page.locator("#run-point").select_option(index=8)
        assert "of a fit without this grid point" in page.inner_text("#panel-runs .legend")
        assert page.evaluate(_UNNAMED) == []
        page.get_by_role("tab", name="Map").focus()
        page.keyboard.press("ArrowLeft")  # round to the last tab
        page.wait_for_selector("#panel-claims tbody tr", timeout=_SLOW)
        assert "tab=claims" in page.evaluate("location.hash")
        page.get_by_role("tab", name="Ecosystems").click()
        page.wait_for_selector("#panel-ecosystem .charts section", timeout=_SLOW)
        assert "The best number of models is 5" in page.inner_text("#panel-ecosystem")
        assert page.get_attribute("#panel-map", "hidden") is not None


def test_a_run_that_is_being_named_is_not_named_by_the_page(opened, tmp_path, monkeypatch) -> None:
    small_run(tmp_path / "asked")
    small_run(tmp_path / "offered")
    monkeypatch.chdir(tmp_path)
    with serving(explore.live_server()) as server:
        page = opened(f"{server.url}#tab=ecosystem")
        held = []
        page.route("**/api/runs?*", lambda route: held.append(route))
        with page.expect_request("**/api/runs?*"):
            page.get_by_role("tab", name="Runs").click()
        page.get_by_label("folder of a run").focus()
        with page.expect_response("**/api/runs?*"):
            held[0].continue_()
        page.wait_for_selector("#run-folders option", state="attached", timeout=_SLOW)
        page.keyboard.type("asked")
        page.keyboard.press("Enter")
        page.wait_for_selector("#panel-runs td", timeout=_SLOW)
        assert page.input_value("#run-path") == "asked"
        assert "run=asked" in page.evaluate("location.hash")


def test_a_page_that_has_lost_its_program_says_so(browser) -> None:
    with serving(explore.live_server()) as server:
        page = browser.new_page()
        page.goto(f"{server.url}#tab=ecosystem")
        page.wait_for_selector("#panel-ecosystem .charts section", timeout=_SLOW)
        page.context.set_offline(True)
        page.get_by_label("N, tokens of a generation").press("ArrowRight")
        page.wait_for_selector("#status.alarm", timeout=_SLOW)
        assert "start commensal explore again" in page.inner_text("#status")
        page.close()


def test_an_error_of_the_program_is_shown_in_one_line(browser) -> None:
    with serving(explore.live_server()) as server:
        page = browser.new_page()
        page.goto(f"{server.url}#models=1&reads=blocs:0.1")
        page.wait_for_selector("#status.alarm", timeout=_SLOW)
        assert page.inner_text("#status") == "two blocs need at least 2 models, got 1"
        page.close()


def test_a_page_without_parts_is_still_a_page() -> None:
    assert "<main" in render("Empty", [])
