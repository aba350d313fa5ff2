#!/usr/bin/env python3
"""How the page is built, with stand-ins for npm: once per lock file, never in the source tree, and
with the plain page where npm has no network."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
PLAIN = SOURCE / "src/serve/page"
WORKING = """#!/bin/sh
echo "$1" >> "$CALLS"
case "$1" in
ci) mkdir -p node_modules ;;
run) mkdir -p dist && echo built > dist/index.html ;;
esac
"""


class PageBuildTest(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.place.name)
        self.calls = self.root / "calls"
        self.npm = self.root / "npm"

    def tearDown(self):
        self.place.cleanup()

    def build(self, npm, *args):
        self.npm.write_text(npm)
        self.npm.chmod(0o755)
        return subprocess.run(
            [sys.executable, SOURCE / "web/build.py", "--npm", self.npm, "--folder",
             self.root / "page", "--stamp", self.root / "stamp", "--depfile", self.root / "d",
             *args],
            env={**os.environ, "CALLS": str(self.calls)}, capture_output=True, text=True)

    def page(self):
        return (self.root / "page/index.html").read_text()

    def test_packages_are_installed_once_and_the_page_is_built_each_time(self):
        before = sorted((SOURCE / "web").iterdir())
        for _ in range(2):
            self.assertEqual(self.build(WORKING).returncode, 0)
            self.assertEqual(self.page(), "built\n")
        self.assertEqual(self.calls.read_text().split(), ["ci", "run", "run"])
        self.assertEqual(sorted((SOURCE / "web").iterdir()), before)

    def test_every_source_is_a_dependency(self):
        self.build(WORKING)
        depfile = (self.root / "d").read_text()
        self.assertTrue(depfile.startswith(f"{self.root / 'stamp'}: "))
        for name in ("src/main.tsx", "src/i18n/zh.ts", "package-lock.json", "public/favicon.svg"):
            self.assertIn(str(SOURCE / "web" / name), depfile)

    def test_without_packages_there_is_the_plain_page_or_an_error(self):
        done = self.build("#!/bin/sh\nexit 1\n", "--else", PLAIN)
        self.assertEqual(done.returncode, 0)
        self.assertIn("without its page", done.stderr)
        self.assertEqual(self.page(), (PLAIN / "index.html").read_text())
        self.assertNotEqual(self.build("#!/bin/sh\nexit 1\n").returncode, 0)

    def test_a_page_that_does_not_build_is_an_error(self):
        broken = WORKING.replace("run) ", "run) echo 'type error'; exit 2; ")
        done = self.build(broken, "--else", PLAIN)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("type error", done.stderr)

    def test_the_lock_names_exact_versions_and_no_registry(self):
        for folder in ("web", "tests/js"):
            lock = json.loads((SOURCE / folder / "package-lock.json").read_text())["packages"]
            package = json.loads((SOURCE / folder / "package.json").read_text())
            for name, entry in lock.items():
                self.assertNotIn("resolved", entry, name)
                self.assertTrue(not name or {"version", "integrity"} <= set(entry), name)
            wanted = {**package["dependencies"], **package.get("devDependencies", {})}
            for version in wanted.values():
                self.assertRegex(version, r"^\d+\.\d+\.\d+$")


unittest.main()
