#!/usr/bin/env python3
"""The starter suite: it is what its generator makes, its reference answers pass, and none of its
prompts is among the data that the bundled models were trained on."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ["TANDEM_SOURCE"])
PROGRAM = os.environ["TANDEM_PROGRAM"]
MAKE_DATA = SOURCE / "models" / "make_data.py"
SUITE = SOURCE / "suites" / "starter.jsonl"
TRAINING = [(1, 400000), (3, 120000)]  # seeds and counts, as models/README.md trains them


def lines(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def check_regenerated(folder):
    made = folder / "suite.jsonl"
    subprocess.run([sys.executable, MAKE_DATA, "--suite", "--out", made], check=True)
    assert made.read_bytes() == SUITE.read_bytes(), "suites/starter.jsonl is not what it should be"


def check_references(items):
    answers = "".join(json.dumps({"id": i["id"], "answer": i["reference"]}) + "\n" for i in items)
    done = subprocess.run([PROGRAM, "grade", "--suite", SUITE], input=answers, text=True,
                          capture_output=True, check=True)
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == len(items) == 50
    wrong = [v for v in verdicts if v["verdict"] == "fail"]
    assert not wrong, wrong


def check_unseen(folder, items):
    data = folder / "train.jsonl"
    for seed, count in TRAINING:
        subprocess.run([sys.executable, MAKE_DATA, "--seed", str(seed), "--count", str(count),
                        "--out", data], check=True)
        seen = {line["messages"][0]["content"] for line in lines(data)}
        leaked = [i["id"] for i in items if i["prompt"] in seen]
        assert len(seen) > count / 2 and not leaked, (len(seen), leaked)


def main():
    items = lines(SUITE)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_regenerated(folder)
        check_references(items)
        check_unseen(folder, items)
    print("starter suite: regenerated, references pass, no prompt in training")


main()
