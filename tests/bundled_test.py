#!/usr/bin/env python3
"""The two bundled models on the starter suite: what their cards and the README promise.

Speeds are not judged here: the report has them."""
import json
import os
import pathlib
import struct
import subprocess
import tempfile

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
PROGRAM = os.environ["TANDEM_PROGRAM"]
MODELS = SOURCE / "models"
QWEN, PHI = "tandem-qwen-tiny", "tandem-phi-tiny"
QUALITY = ["instruction", "math", "code", "structured"]


def tandem(*arguments, **options):
    environment = dict(os.environ, TANDEM_MODELS=str(MODELS))
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          check=True, env=environment, **options).stdout


def check_folder(name, family, low, high):
    """A complete Hugging Face folder of the promised size."""
    folder = MODELS / name
    for file in ("config.json", "generation_config.json", "tokenizer.json",
                 "tokenizer_config.json", "model.safetensors", "README.md"):
        assert (folder / file).is_file(), file
    weights = (folder / "model.safetensors").read_bytes()
    header = json.loads(weights[8:8 + struct.unpack("<Q", weights[:8])[0]])
    header.pop("__metadata__", None)
    assert {t["dtype"] for t in header.values()} == {"BF16"}
    (entry,) = (m for m in json.loads(tandem("models", "--json")) if m["name"] == name)
    assert entry["family"] == family and low <= entry["parameters"] <= high, entry
    return sum(f.stat().st_size for f in folder.iterdir())


def check_scores():
    with tempfile.TemporaryDirectory() as out:
        report = json.loads(tandem("compare", QWEN, PHI, "--suite", "starter", "--out", out,
                                   "--overwrite", "--json"))
    ran = {item[side]["verdict"]["verdict"] for item in report["items"] for side in "ab"}
    if "not_run" in ran:
        print("the sandbox is not usable here: code items were not run")
    else:
        total_a, total_b = report["all"]["a"]["score"], report["all"]["b"]["score"]
        assert total_a > total_b >= 4, (total_a, total_b)
    dimensions = {d["name"]: d for d in report["dimensions"]}
    for name in QUALITY:
        if name != "code" or "not_run" not in ran:
            assert dimensions[name]["a"]["score"] >= 7, (name, dimensions[name])


def check_default():
    """Without a model, `tandem run` uses the bigger one."""
    prompt = "把“梨”写3遍，每行一个。"
    assert tandem("run", "-p", prompt) == tandem("run", QWEN, prompt)
    assert tandem("run", input=prompt) == tandem("run", QWEN, prompt)


def main():
    size = check_folder(QWEN, "Qwen2", 4e6, 6e6) + check_folder(PHI, "Phi-3", 2e6, 3e6)
    assert size <= 20e6, size
    check_scores()
    check_default()


main()
