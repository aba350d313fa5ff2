#!/usr/bin/env python3
"""Every source as clang reads it, with the build's own flags: no error and no warning."""
import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

SKIPPED = 77


def check(command):
    """What clang has to say about one entry of compile_commands.json."""
    arguments = shlex.split(command["command"])
    at = arguments.index("-o")
    arguments = ["clang", *arguments[1:at], *arguments[at + 2:], "-fsyntax-only"]
    return subprocess.run(arguments, cwd=command["directory"], capture_output=True,
                          text=True).stderr


def main():
    if not shutil.which("clang"):
        print("skipped: clang is not here")
        return SKIPPED
    build = pathlib.Path(os.environ["TANDEM_PROGRAM"]).parent
    commands = {c["file"]: c for c in json.loads((build / "compile_commands.json").read_text())
                if c["file"].endswith(".c")}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        said = [text for text in pool.map(check, commands.values()) if text]
    print("\n".join(said) or f"clang has nothing to say about {len(commands)} files")
    return 1 if said or not commands else 0


sys.exit(main())
