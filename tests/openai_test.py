#!/usr/bin/env python3
"""OpenAI's official client (npm) against tandem serve with the bundled models. Skipped where node
or the package, which ./dev test installs into tests/js, is absent."""
import os
import pathlib
import shutil
import subprocess
import sys

from serve_client import BUNDLED, MODELS, Server

FOLDER = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "tests/js"


def main():
    node = os.environ.get("TANDEM_NODE") or shutil.which("node") or shutil.which("nodejs")
    if not node:
        print("skipped: there is no node (Debian: nodejs)")
        return 77
    if not (FOLDER / "node_modules/openai").is_dir():
        print("skipped: the package openai is absent: npm ci --prefix tests/js")
        return 77
    keys = MODELS / "keys"
    keys.write_text("the-key\n")
    with Server("--api-key-file", str(keys), models=BUNDLED) as server:
        return subprocess.run([node, str(FOLDER / "openai.mjs"), server.url, "the-key"],
                              timeout=300).returncode


sys.exit(main())
