#!/usr/bin/env python3
"""tandem compare, end to end, on the two checkpoints with random weights."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = os.environ["TANDEM_PROGRAM"]
MAKE_MODELS = os.environ["TANDEM_MAKE_MODELS"]


def write_suite(path, rounds):
    """Sums, in every dimension and both languages; what the models say of them is noise."""
    items = []
    for n in range(rounds):
        for dimension in ("instruction", "math", "code", "structured"):
            zh = n % 2 == 0
            items.append({
                "id": f"{dimension}-{n}", "dimension": dimension, "language": "zh" if zh else "en",
                "prompt": f"{n} 加 2 等于几？" if zh else f"What is {n} + 2? Answer <with> a number.",
                "reference": str(n + 2), "grader": "number", "args": {"value": n + 2}})
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items))
    return path


def tandem(*words):
    return subprocess.run([PROGRAM, "compare", *map(str, words)], capture_output=True, text=True,
                          timeout=300)


def check(condition, what, result=None):
    if not condition:
        print(f"failed: {what}")
        if result is not None:
            print(f"status {result.returncode}\n{result.stdout}\n{result.stderr}")
        sys.exit(1)


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def test_report(a, b, suite, folder):
    out = folder / "small"
    result = tandem(a, b, "--suite", suite, "--limit", 5, "--max-tokens", 12, "--context", 99999,
                    "--out", out)
    check(result.returncode == 0, "a small comparison", result)
    check("random weights" in result.stdout, "the table says that weights are random", result)
    check("comparing [" not in result.stderr, "no progress bar without a terminal", result)
    check(max(map(len, result.stdout.splitlines()[:12])) <= 100, "the table is narrow", result)
    report = json.loads((out / "report.json").read_text())
    check(report["schema"] == "tandem-report" and report["version"] == 1, "the schema's name")
    check(not report["partial"] and len(report["items"]) == 5, "all five items")
    for side in "ab":
        model = report["models"][side]
        check(model["random_weights"] and model["loaded"], f"model {side}")
        check(model["peak_bytes"] > 1 << 20, f"peak memory of {side}")
        check(all(len(f["sha256"]) == 64 for f in model["files"]), f"hashes of {side}")
        check(0 <= model["latency"]["score"] <= 10, f"latency score of {side}")
        for item in report["items"]:
            reply = item[side]
            check(0 < reply["answer_tokens"] <= 12 or reply["finish"] == "eos", "tokens")
            check(reply["first_token_seconds"] > 0, "times")
            check(reply["verdict"]["verdict"] in ("pass", "fail", "not_run"), "verdict")
    check(len({item["dimension"] for item in report["items"]}) == 4, "limit covers dimensions")
    languages = [item["language"] for item in report["items"]]
    check(min(languages.count("zh"), languages.count("en")) == 2, "limit covers both languages")
    check(report["models"]["a"]["context_length"] == 4096, "no more context than the model has")
    check(len(lines_of(out / "answers.jsonl")) == 10, "answers.jsonl")
    page = (out / "report.html").read_text()
    check(not re.search(r"https?:|url\(|@import|<link|<img|<iframe", page), "no requests")
    check("random weights" in page and "随机" in page, "the page says that weights are random")
    return report


def test_same_folder(a, b, suite, folder, first):
    out = folder / "small"
    result = tandem(a, b, "--suite", suite, "--limit", 5, "--max-tokens", 12, "--context", 99999,
                    "--out", out)
    check(result.returncode == 1 and "--overwrite" in result.stderr, "a used folder", result)
    result = tandem(a, b, "--suite", suite, "--limit", 5, "--max-tokens", 12, "--out", out, "--overwrite", "--json")
    check(result.returncode == 0, "--overwrite", result)
    again = json.loads(result.stdout)
    for side in "ab":
        check([i[side]["text"] for i in first["items"]] == [i[side]["text"] for i in again["items"]],
              f"the same answers of {side} again")


def test_interrupt(a, b, suite, folder):
    out = folder / "stopped"
    process = subprocess.Popen([PROGRAM, "compare", a, b, "--suite", suite, "--max-tokens", "300", "--out", out],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not lines_of(out / "answers.jsonl") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    stdout, stderr = process.communicate(timeout=120)
    check(time.monotonic() - sent < 60, "stops soon")
    check(process.returncode == 1, f"status {process.returncode} after Ctrl-C: {stderr}")
    report = json.loads((out / "report.json").read_text())
    asked = sum(report["models"][side]["items_asked"] for side in "ab")
    check(report["partial"] and report["interrupted"], "marked as partial")
    check(0 < asked < 200 and asked == len(lines_of(out / "answers.jsonl")), "what was done")
    check("Partial: " in stdout, "the table says so")


def test_wrong_calls(a, folder):
    check(tandem(a).returncode == 2, "one model")
    check(tandem(a, a, a).returncode == 2, "three models")
    check(tandem(a, a, "--nonsense").returncode == 2, "an unknown option")
    result = tandem(a, folder / "nowhere", "--out", folder / "x")
    check(result.returncode == 1 and "nowhere" in result.stderr, "no such model", result)
    check(not (folder / "x").exists(), "and no folder is left")
    result = tandem(a, a, "--suite", folder / "no.jsonl", "--out", folder / "y")
    check(result.returncode == 1 and "no.jsonl" in result.stderr, "no such suite", result)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run([MAKE_MODELS, folder], check=True, stdout=subprocess.DEVNULL)
        a, b = folder / "tandem-random-qwen2", folder / "tandem-random-phi3"
        suite = write_suite(folder / "sums.jsonl", 25)
        first = test_report(a, b, suite, folder)
        test_same_folder(a, b, suite, folder, first)
        test_interrupt(a, b, suite, folder)
        test_wrong_calls(a, folder)
    print("tandem compare works end to end")


main()
