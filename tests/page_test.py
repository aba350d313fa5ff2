#!/usr/bin/env python3
"""The web page in Chromium (Playwright), on the two bundled models. Skipped where node, Chromium or
the package playwright-core, which ./dev test installs into tests/js, is absent, or the page."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from serve_client import PROGRAM, Server

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
MODELS = [str(SOURCE / "models" / name) for name in ("tandem-qwen-tiny", "tandem-phi-tiny")]
KEY = "the-key"


def why_not():
    """Why the test cannot run here, if so; also finds what it needs."""
    node = os.environ.get("TANDEM_NODE") or shutil.which("node") or shutil.which("nodejs")
    chromium = os.environ.get("TANDEM_CHROMIUM") or shutil.which("chromium")
    if not node:
        return "there is no node (Debian: nodejs)", None, None
    if not chromium:
        return "there is no chromium (Debian: chromium)", None, None
    if not (SOURCE / "tests/js/node_modules/playwright-core").is_dir():
        return "the package playwright-core is absent: npm ci --prefix tests/js", None, None
    return None, node, chromium


def make_runs(folder):
    """Reports: a short one, and one whose texts attack."""
    subprocess.run([PROGRAM, "compare", *MODELS, "--suite", "starter", "--limit", "8", "--threads",
                    "1", "--out", str(folder / "short")], check=True, capture_output=True)
    report = json.loads((folder / "short/report.json").read_text())
    attack = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    report["models"]["a"]["name"] = "hostile" + attack
    report["notices"] = [attack]
    for item in report["items"]:
        item["prompt"] += attack
        item["a"]["text"] = item["b"]["text"] = attack
    (folder / "hostile").mkdir()
    (folder / "hostile/report.json").write_text(json.dumps(report))


def has_page(server):
    return b'id="app"' in server.request("GET", "/")[1]


def main():
    reason, node, chromium = why_not()
    if reason:
        print("skipped: " + reason)
        return 77
    with tempfile.TemporaryDirectory() as folder, \
            Server("--runs", folder, models=MODELS[:1],
                   environment={"TANDEM_API_KEYS": KEY}) as keyed:
        if not has_page(keyed):
            print("skipped: this build has no page (it needs npm)")
            return 77
        make_runs(pathlib.Path(folder))
        shots = os.environ.get("TANDEM_SHOTS", folder)
        with Server("--runs", folder, models=MODELS) as server:
            return subprocess.run(
                [node, str(SOURCE / "tests/js/page/run.mjs"), server.url + "/", keyed.url + "/",
                 shots],
                env={**os.environ, "TANDEM_CHROMIUM": chromium}, timeout=500).returncode


sys.exit(main())
