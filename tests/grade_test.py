#!/usr/bin/env python3
"""The command line of `tandem grade`: input, verdicts, summaries, and what it says when wrong."""
import json
import os
import subprocess
import sys

PROGRAM = os.environ["TANDEM_PROGRAM"]


def grade(text, *options, suite="core"):
    return subprocess.run([PROGRAM, "grade", "--suite", suite, *options], input=text,
                          capture_output=True, text=True, timeout=120)


def lines(*answers):
    return "".join(json.dumps({"id": i, "answer": a}, ensure_ascii=False) + "\n"
                   for i, a in answers)


def expect(condition, message, result):
    if not condition:
        sys.exit("%s\nstatus %d\n%s\n%s" % (message, result.returncode, result.stdout,
                                            result.stderr))


def main():
    result = grade(lines(("math-zh-01", "有5人"), ("math-en-01", "Answer: 7")))
    verdicts = [json.loads(line) for line in result.stdout.splitlines()]
    expect(result.returncode == 0 and [v["verdict"] for v in verdicts] == ["pass", "fail"],
           "one verdict a line, in the order of the answers", result)
    expect(verdicts[1]["reason"] == "found 7, expected 205" and verdicts[1]["dimension"] == "math",
           "a verdict says why", result)
    expect("1 of 2 right" in result.stderr and "11 missing" in result.stderr
           and "no answer to: instr-zh-01, " in result.stderr, "a summary on stderr", result)

    result = grade(lines(("math-zh-01", "5")), "--summary")
    summary = json.loads(result.stdout)
    expect(summary["math"] == {"items": 13, "answered": 1, "passed": 1, "not_run": 0,
                               "extraction_failed": 0}, "--summary is one object", result)

    for text, message in ((lines(("no-such", "5")), "line 1: the suite \"core\" has no item"),
                          (lines(("math-zh-01", "5"), ("math-zh-01", "6")), "a second answer"),
                          ("{\"id\": \"math-zh-01\"}\n", "expected an object"),
                          ("{\"id\": 5, \"answer\": \"\"}\n", "should be a string"),
                          ("{oops\n", "not valid JSON"), ("[1]\n", "expected an object")):
        result = grade(text)
        expect(result.returncode == 1 and message in result.stderr, "says: " + message, result)

    result = grade("", suite="no-such-suite")
    expect(result.returncode == 1 and "core" in result.stderr, "names the suites", result)
    result = subprocess.run([PROGRAM, "grade"], capture_output=True, text=True, timeout=60)
    expect(result.returncode == 2 and "--suite" in result.stderr, "asks for the suite", result)
    result = grade("\n\n")
    expect(result.returncode == 0 and not result.stdout, "blank lines are no answers", result)


main()
