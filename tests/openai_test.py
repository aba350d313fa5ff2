#!/usr/bin/env python3
"""OpenAI's official client (npm) against tandem serve. Skipped where node or the package, which
./dev test installs into tests/js, is absent."""
import os
import pathlib
import shutil
import subprocess
import sys

from serve_client import QWEN, Server, make_models, make_tool_model

FOLDER = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "tests/js"


def main():
    node = os.environ.get("TANDEM_NODE") or shutil.which("node") or shutil.which("nodejs")
    if not node:
        print("skipped: there is no node (Debian: nodejs)")
        return 77
    if not (FOLDER / "node_modules/openai").is_dir():
        print("skipped: the package openai is absent: npm ci --prefix tests/js")
        return 77
    make_models()
    with_tools = make_tool_model()
    with Server(models=(QWEN, with_tools)) as server:
        return subprocess.run([node, str(FOLDER / "openai.mjs"), server.url, QWEN, with_tools],
                              timeout=300).returncode


sys.exit(main())
