#!/usr/bin/env python3
"""The curl examples and client snippets of README.md and docs/serving.md work as pasted."""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from serve_client import QWEN, Server, main

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
CLIENT = SOURCE / "tests/js"


def blocks(language):
    """The fenced blocks of the language that talk to a server."""
    text = "\n".join((SOURCE / name).read_text() for name in ("README.md", "docs/serving.md"))
    return [block for block in re.findall(rf"```{language}\n(.*?)```", text, re.S)
            if "127.0.0.1:7860" in block]


class Examples(unittest.TestCase):
    def paste(self, server, text):
        return text.replace("127.0.0.1:7860", server.address)

    @unittest.skipUnless(shutil.which("curl"), "there is no curl")
    def test_curl(self):
        found = blocks("sh")
        self.assertGreaterEqual(len(found), 2)
        with Server(models=(QWEN,)) as server:
            commands = [c for block in found for c in re.split(r"\n(?=curl )", block)]
            for command in commands:
                out = subprocess.run(["sh", "-c", self.paste(server, command)],
                                     capture_output=True, check=True, timeout=60).stdout.decode()
                if out.startswith("data: "):
                    self.assertTrue(out.endswith("data: [DONE]\n\n"), out)
                else:
                    self.assertNotIn("error", json.loads(out), command)

    @unittest.skipUnless(shutil.which("node") and (CLIENT / "node_modules/openai").is_dir(),
                         "there is no node, or no package openai in tests/js")
    def test_javascript(self):
        found = blocks("js")
        self.assertTrue(found)
        with Server(models=(QWEN,), environment={}) as server:
            for block in found:
                out = subprocess.run(["node", "--input-type=module"], cwd=CLIENT, check=True,
                                     input=self.paste(server, block).encode(),
                                     capture_output=True, timeout=120).stdout
                self.assertTrue(out.strip())

    def run_python(self, blocks_):
        self.assertTrue(blocks_)
        with Server(models=(QWEN,)) as server:
            for block in blocks_:
                out = subprocess.run([sys.executable, "-"], check=True, capture_output=True,
                                     input=self.paste(server, block).encode(), timeout=120).stdout
                self.assertTrue(out.strip())

    def test_python(self):
        self.run_python([block for block in blocks("python") if "openai" not in block])

    @unittest.skipUnless(importlib.util.find_spec("openai"), "there is no Python package openai")
    def test_python_with_openais_package(self):
        self.run_python([block for block in blocks("python") if "openai" in block])


main()
