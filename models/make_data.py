#!/usr/bin/env python3
"""Makes the data of the bundled models: chat JSON lines for training and held-out evaluation, and
the starter suite. Deterministic: the same arguments give the same bytes.

    make_data.py --seed 1 --count 200000 --out train.jsonl
    make_data.py --seed 2 --count 500 --held-out --out eval.jsonl
    make_data.py --suite --out suites/starter.jsonl
"""
import argparse
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "data"))

import arithmetic  # noqa: E402
import chat  # noqa: E402
import coding  # noqa: E402
import copying  # noqa: E402
import instruction  # noqa: E402
import structured  # noqa: E402
from common import Split, is_held_out  # noqa: E402

DIMENSIONS = {"instruction": instruction, "math": arithmetic, "code": coding,
              "structured": structured, "chat": chat, "copying": copying}
# Share of each dimension in training.
SHARES = {"instruction": 20, "math": 26, "code": 8, "structured": 26, "chat": 2, "copying": 18}
SUITE_COUNTS = {"instruction": 13, "math": 13, "code": 12, "structured": 12}


def draw(rng, dimension, held_out, family=None):
    """One item of the wanted side of the split. Chat has so few prompts that all are training."""
    while True:
        make = family or rng.choice(DIMENSIONS[dimension].FAMILIES)
        item = make(Split(rng, held_out), rng.choice(["zh", "en"]))
        if item and (dimension == "chat" or is_held_out(item.prompt) == held_out):
            return item


def write_conversations(out, rng, count, held_out):
    names = [n for n in SHARES if not (held_out and n == "chat")]
    weights = [SHARES[n] for n in names]
    seen = set()
    while count:
        item = draw(rng, rng.choices(names, weights)[0], held_out)
        if held_out and item.prompt in seen:
            continue
        seen.add(item.prompt)
        out.write(json.dumps(item.messages(), ensure_ascii=False) + "\n")
        count -= 1


def write_suite(out, rng):
    """Families take turns, so that each has its items; no prompt twice."""
    for dimension, count in SUITE_COUNTS.items():
        families = list(dict.fromkeys(DIMENSIONS[dimension].FAMILIES))
        seen = set()
        for i in range(count):
            item = draw(rng, dimension, True, families[i % len(families)])
            while item.prompt in seen:
                item = draw(rng, dimension, True, families[i % len(families)])
            seen.add(item.prompt)
            out.write(json.dumps({
                "id": f"starter-{dimension}-{i + 1:02}", "dimension": dimension,
                "language": item.language, "topic": item.family, "prompt": item.prompt,
                "reference": item.answer, "grader": item.grader, "args": item.args,
                "max_tokens": 160}, ensure_ascii=False) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--suite", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    rng = random.Random(f"tandem {args.seed} {args.held_out} {args.suite}")
    with args.out.open("w", encoding="utf-8") as out:
        if args.suite:
            write_suite(out, rng)
        else:
            write_conversations(out, rng, args.count, args.held_out)


main()
