#!/usr/bin/env python3
"""Models by name, the bench's JSON, and quantized models at work: through the program."""
import json
import os
import pathlib
import subprocess
import tempfile

PROGRAM = os.environ["TANDEM_PROGRAM"]
MAKE_MODELS = os.environ["TANDEM_MAKE_MODELS"]


def tandem(folder, *arguments, status=0):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          env=dict(os.environ, TANDEM_MODELS=str(folder)))
    assert done.returncode == status, (arguments, done.returncode, done.stderr)
    return done.stdout if status == 0 else done.stderr


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([MAKE_MODELS, folder], check=True, capture_output=True)
        listed = {m["name"]: m for m in json.loads(tandem(folder, "models", "--json"))}
        assert {"tandem-random-qwen2", "tandem-random-phi3"} <= listed.keys(), listed
        twice = json.loads(tandem(f"{folder}:{folder}", "models", "--json"))
        assert sorted(m["name"] for m in twice) == sorted(listed), "a name is listed once"
        by_name = tandem(folder, "logits", "tandem-random-phi3", "--ids", "5,6,7")
        by_path = tandem(folder, "logits", folder / "tandem-random-phi3", "--ids", "5,6,7")
        assert by_name == by_path
        assert "no-such-model" in tandem(folder, "run", "no-such-model", "hi", status=1)

        bench = json.loads(tandem(folder, "bench", "tandem-random-qwen2", "-p", "32", "-n", "8",
                                  "-r", "2", "-b", "1,3", "-d", "0,20", "--json"))
        for test in ("pp", "tg"):
            rate = bench[test]["tokens_per_second"]
            assert 0 < rate["min"] <= rate["median"] <= rate["max"], bench
        assert bench["limits"]["f32_per_second"] > 0, bench
        assert bench["tg"]["share_of_peak"] > 0, bench
        assert bench["tg"]["read_bytes_per_second"] > 0, bench
        assert len(bench["sweep"]) == 6 and bench["peak_rss_bytes"] > 0, bench
        assert "numbers" in tandem(folder, "bench", "tandem-random-qwen2", "-b", "x", status=2)

        text = folder / "text.txt"
        text.write_text("Say this again: one two three, one two three, one two three.")
        bench = json.loads(tandem(folder, "bench", "tandem-random-qwen2", "--text", text, "-n", "20",
                                  "-r", "2", "-b", "1,2", "--draft", "tandem-random-qwen2", "--json"))
        assert [a["batch"] for a in bench["answers"]] == [1, 2], bench
        assert bench["draft"] and bench["prompt_tokens"] > 0, bench
        assert all(a["plain"]["median"] > 0 and a["ratio"] > 0 for a in bench["answers"]), bench
        assert "--text" in tandem(folder, "bench", "tandem-random-qwen2", "--draft",
                                  "tandem-random-qwen2", status=2)

        exact = json.loads(tandem(folder, "logits", "tandem-random-qwen2", "--ids", "5,6,7,8"))
        out = folder / "q8.gguf"
        tandem(folder, "quantize", "tandem-random-qwen2", out, "--type", "Q8_0")
        close = json.loads(tandem(folder, "logits", out, "--ids", "5,6,7,8"))
        error = max(abs(a - b) for a, b in zip(exact["nll"], close["nll"]))
        assert 0 < error < 0.3, error
        text = folder / "text.txt"
        text.write_text("The quick brown fox jumps over the lazy dog. " * 8)
        measure = ["--text", text, "--against", "tandem-random-qwen2", "-c", "64", "--json"]
        same = json.loads(tandem(folder, "perplexity", "tandem-random-qwen2", *measure))
        assert same["same_top"] == 1 and same["kl_divergence"] < 1e-9, same
        near = json.loads(tandem(folder, "perplexity", out, *measure))
        assert 1e-7 < near["kl_divergence"] < 0.05 and near["same_top"] > 0.5, near
        assert near["base_perplexity"] == same["perplexity"], (near, same)
        assert "window" in tandem(folder, "perplexity", out, "--text", text, "-c", "4096",
                                  status=1)
        assert "Q4_K_M" in tandem(folder, "quantize", out, folder / "x.gguf", "--type", "Z",
                                  status=2)
        assert "--overwrite" in tandem(folder, "quantize", "tandem-random-qwen2", out, "--type",
                                       "Q8_0", status=1)
        assert ".gguf" in tandem(folder, "quantize", out, folder / "x", "--type", "F16", status=2)
        tandem(folder, "quantize", "tandem-random-qwen2", out, "--type", "Q4_0", "--overwrite")
        assert "both" in tandem(folder, "quantize", out, out, "--type", "Q8_0", status=1)


main()
