#!/usr/bin/env python3
"""Who may include whom: walks every #include of src/ and fails on a breach of the table."""
import os
import pathlib
import re
import sys

ALLOWED = {
    "base": set(),
    "kernels": {"base"},
    "formats": {"base", "kernels"},
    "text": {"base"},
    "model": {"base", "kernels", "formats"},
    "engine": {"base", "text", "model"},
    "train": {"base", "kernels", "formats", "text", "model"},
    "quantize": {"base", "kernels", "formats", "text", "model"},
    "route": {"base", "engine"},
    "eval": {"base", "engine", "route"},
    "serve": {"base", "engine", "route", "eval"},
    "hub": {"base"},
}
# Where a folder is seen through some headers only.
PUBLIC_HEADERS = {
    ("formats", "kernels"): {"kernels/tensor_type.h", "kernels/half.h", "kernels/bitsandbytes.h"},
    ("eval", "engine"): {"engine/engine.h", "engine/sampler.h"},
    ("serve", "engine"): {"engine/engine.h", "engine/sampler.h", "engine/constraint.h"},
}


def breaches(source):
    for path in sorted(source.rglob("*.[ch]")):
        folder = path.relative_to(source).parts[0]
        if folder == "cli":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if not match or match[1] == "tandem.h":
                continue
            target = match[1].split("/")[0]
            if target == folder:
                continue
            public = PUBLIC_HEADERS.get((folder, target))
            if target not in ALLOWED[folder] or (public and match[1] not in public):
                yield f"{path}:{number}: {folder} may not include {match[1]}"


def main():
    source = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "src"
    found = list(breaches(source))
    print("\n".join(found) or "every include is allowed")
    return 1 if found else 0


sys.exit(main())
