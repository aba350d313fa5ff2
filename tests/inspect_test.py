#!/usr/bin/env python3
"""tandem inspect: what it prints, as text and as JSON, and how it refuses."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile


def run(*args):
    return subprocess.run([os.environ["TANDEM_PROGRAM"], "inspect", *map(str, args)],
                          capture_output=True, text=True)


def check_json(shared):
    result = run(shared / "golden/phi3-window-f16", "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    config = json.loads((shared / "golden/phi3-window-f16/config.json").read_text())
    model = report["model"]
    assert model["family"] == "phi3" and report["format"] == "safetensors"
    assert model["dim"] == config["hidden_size"]
    assert model["sliding_window"] == config["sliding_window"]
    assert model["vocab_size"] == config["vocab_size"]
    assert report["metadata"]["hidden_act"] == "silu"
    assert len(report["tensors"]) == 21
    tensor = next(t for t in report["tensors"] if t["name"] == "lm_head.weight")
    assert tensor["shape"] == [333, 64] and tensor["type"] == "F16", tensor
    assert tensor["bytes"] == 333 * 64 * 2
    assert sum(t["bytes"] for t in report["tensors"]) == report["weight_bytes"]
    assert report["parameters"] * 2 == report["weight_bytes"]
    assert report["files"][0]["bytes"] == os.path.getsize(report["files"][0]["path"])


def check_text(shared):
    result = run(shared / "golden/qwen2-yarn-f16")
    assert result.returncode == 0, result.stderr
    assert "yarn by 4 from 64 tokens" in result.stdout
    assert "lm_head.weight" not in result.stdout
    assert "300 x 128" in run(shared / "golden/qwen2-yarn-f16", "--tensors").stdout
    result = run("--vocab", shared / "tokenizers/phi-3-mini-4k/vocab.gguf")
    assert "32064 in the vocabulary" in result.stdout, result.stderr
    assert "weights        none" in result.stdout


def check_refusals(shared):
    for args, status, words in (
        ([], 2, "MODEL is missing"),
        (["a", "b"], 2, "one argument too many"),
        (["--nonsense", "a"], 2, "--nonsense"),
        ([shared / "nowhere"], 1, "nowhere"),
        ([shared / "tokenizers/qwen2.5"], 1, "holds no weights"),
        ([shared / "golden/qwen2-yarn-f16/model.safetensors"], 1, "name the folder"),
        ([shared / "golden/qwen2-yarn-f16/config.json"], 1, "not a GGUF file"),
    ):
        result = run(*args)
        assert result.returncode == status, (args, result.returncode)
        assert words in result.stderr and not result.stdout, (args, result.stderr)


def check_escapes():
    """What a hostile file calls itself must not steer the terminal."""
    with tempfile.TemporaryDirectory() as folder:
        config = {"model_type": "\x1b[31mred"}
        pathlib.Path(folder, "config.json").write_text(json.dumps(config))
        result = run(folder)
        assert result.returncode == 1
        assert "\x1b" not in result.stderr and "[31mred" in result.stderr, result.stderr


def main():
    shared = pathlib.Path(os.environ["TANDEM_SHARED"])
    check_escapes()
    if not shared.is_dir():
        print("skipped: there is no folder of shared data (TANDEM_SHARED)")
        return 77
    check_json(shared)
    check_text(shared)
    check_refusals(shared)
    return 0


if __name__ == "__main__":
    sys.exit(main())
