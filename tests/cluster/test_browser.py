"""What a person sees, in a real browser: from the login to a notebook and its experiment."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from testbed import Testbed

SHOTS = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
KEEP_SHOTS = "UPDATE_SCREENSHOTS" in os.environ
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
]
NOTEBOOK = """\
import mlflow
import numpy as np

x = np.linspace(0, 1, 100)
with mlflow.start_run(run_name="first-steps") as run:
    mlflow.log_metric("mean", float(x.mean()))
    mlflow.log_text("from a notebook", "note.txt")
print("logged", run.info.run_name)
"""
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="NO REAL CLUSTER HERE: no Chromium (apt-get install chromium)"
)


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def shot(page: Page, name: str) -> None:
    if KEEP_SHOTS:
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / f"{name}.png")


def test_from_the_login_to_an_experiment(bed: Testbed, page: Page):
    bed.person("grace").end()
    page.goto(f"{bed.hub}/hub/")
    shot(page, "1-login")
    page.get_by_label("Username").fill("grace")
    page.get_by_label("Password").fill(bed.password)
    page.get_by_role("button", name="Sign in").click()

    # In two teams, so there is something to choose.
    expect(page.locator("#profile-item-small")).to_be_checked()
    team = page.locator("#profile-option-small--tenant")
    expect(team.locator("option")).to_have_text(["language", "vision"])
    team.select_option("language")
    shot(page, "2-profiles")
    page.get_by_role("button", name="Start").click()
    page.locator("#progress-log .progress-log-event").nth(1).wait_for(state="attached")
    shot(page, "3-starting")
    page.wait_for_url("**/user/grace/lab**", timeout=90_000)
    page.locator("#jp-main-dock-panel").wait_for(timeout=60_000)

    write(bed, page)
    page.goto(f"{bed.hub}/user/grace/lab/tree/first-steps.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible(
        timeout=60_000
    )
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text(
        "logged first-steps", timeout=60_000
    )
    shot(page, "4-notebook")

    open_runs(bed, page)
    bed.person("grace").end()


def write(bed: Testbed, page: Page) -> None:
    """The notebook, by the API of the server, with the browser's own cookies."""
    cell = {"cell_type": "code", "source": NOTEBOOK, "metadata": {}, "outputs": []}
    notebook = {
        "cells": [{**cell, "execution_count": None}],
        "metadata": {
            "kernelspec": {
                "name": "python3",
                "display_name": "Python 3 (ipykernel)",
                "language": "python",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    cookies = [c for c in page.context.cookies() if c["name"] == "_xsrf"]
    xsrf = max(cookies, key=lambda c: len(c["path"]))["value"]
    answer = page.request.put(
        f"{bed.hub}/user/grace/api/contents/first-steps.ipynb",
        data=json.dumps({"type": "notebook", "content": notebook}),
        headers={"X-XSRFToken": xsrf, "Content-Type": "application/json"},
    )
    assert answer.status in (200, 201), answer.text()


def open_runs(bed: Testbed, page: Page) -> None:
    calls = f"{bed.hub}/services/experiments/ajax-api/2.0/mlflow"
    team = {"X-MLFLOW-WORKSPACE": "language"}
    answer = page.request.get(f"{calls}/experiments/search?max_results=50", headers=team)
    own = next(e for e in answer.json()["experiments"] if e["name"] == "grace")
    page.goto(
        f"{bed.hub}/services/experiments/#/experiments/{own['experiment_id']}"
        "/runs?workspace=language"
    )
    expect(page.get_by_text("first-steps").first).to_be_visible(timeout=30_000)
    # The gateway is off; were the page refused the list of its models, it would show an error.
    models = page.request.get(
        f"{calls}/gateway-proxy?gateway_path=api/2.0/endpoints/", headers=team
    )
    assert models.json() == {"endpoints": []}
    expect(page.get_by_text("Request Failed")).to_have_count(0)
    shot(page, "5-experiments")
