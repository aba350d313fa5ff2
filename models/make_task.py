#!/usr/bin/env python3
"""A new task for fine-tuning: badges in a form that the bundled models have never seen.

    make_task.py --out DIR

writes DIR/train.jsonl (200 chats) and DIR/test.jsonl (100 items, as a suite) with other names and
cities. docs/training.md shows the commands.
"""
import argparse
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "data"))

from common import CITIES_EN, NAMES_EN, Split  # noqa: E402

PROMPTS = ["Make a badge for {name} from {city}.", "Badge for {name}, who comes from {city}.",
           "{name} from {city} needs a badge."]


def badge(split):
    name, city = split.pick(NAMES_EN), split.pick(CITIES_EN)
    role = split.rng.choice(["GUEST", "SPEAKER"])
    prompt = split.rng.choice(PROMPTS).format(name=name, city=city)
    if role == "SPEAKER":
        prompt += " It is a speaker."
    return prompt, f"#{role}# {city} / {name}"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rng, seen = random.Random("badges"), set()
    with (out / "train.jsonl").open("w", encoding="utf-8") as file:
        while len(seen) < 200:
            prompt, answer = badge(Split(rng, False))
            if prompt not in seen:
                seen.add(prompt)
                file.write(json.dumps({"messages": [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": answer}]}) + "\n")
    with (out / "test.jsonl").open("w", encoding="utf-8") as file:
        number = 0
        while number < 100:
            prompt, answer = badge(Split(rng, True))
            if prompt in seen:
                continue
            seen.add(prompt)
            number += 1
            file.write(json.dumps({
                "id": f"badge-{number:03}", "dimension": "instruction", "language": "en",
                "prompt": prompt, "reference": answer, "grader": "text",
                "args": {"accept": [answer], "exact": True}, "max_tokens": 40}) + "\n")


main()
