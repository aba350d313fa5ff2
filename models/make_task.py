#!/usr/bin/env python3
"""New tasks for fine-tuning, in forms that the bundled models have never seen.

    make_task.py --out DIR [--task badges|summaries]

writes DIR/train.jsonl (200 chats) and DIR/test.jsonl (100 items, as a suite) with other names and
cities. docs/training.md shows the commands. A summary is a text's first and last sentence.
"""
import argparse
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "data"))

from common import ALL_WORDS, CITIES_EN, NAMES_EN, Split  # noqa: E402

PROMPTS = ["Make a badge for {name} from {city}.", "Badge for {name}, who comes from {city}.",
           "{name} from {city} needs a badge."]


def badge(split):
    name, city = split.pick(NAMES_EN), split.pick(CITIES_EN)
    role = split.rng.choice(["GUEST", "SPEAKER"])
    prompt = split.rng.choice(PROMPTS).format(name=name, city=city)
    if role == "SPEAKER":
        prompt += " It is a speaker."
    return prompt, f"#{role}# {city} / {name}"


def sentence(split):
    name, city, word = split.pick(NAMES_EN), split.pick(CITIES_EN), split.pick(ALL_WORDS)
    number = split.rng.randint(2, 99)
    return split.rng.choice([f"{name} lives in {city} and has {number} friends.",
                             f"In {city}, {name} saw {number} people with a {word}.",
                             f"{name} and {split.pick(NAMES_EN)} went to {city} for {number} days.",
                             f"The {word} of {name} is {number} years old."])


def summary(split):
    sentences = [sentence(split) for _ in range(split.rng.randint(3, 6))]
    return ("Summarise this text: " + " ".join(sentences), f"{sentences[0]} {sentences[-1]}")


# What an item is called, what makes it, and how long its answer may become.
TASKS = {"badges": ("badge", badge, 40), "summaries": ("summary", summary, 120)}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--task", choices=sorted(TASKS), default="badges")
    args = parser.parse_args()
    out, (name, make, most) = args.out, TASKS[args.task]
    out.mkdir(parents=True, exist_ok=True)
    rng, seen = random.Random(args.task), set()
    with (out / "train.jsonl").open("w", encoding="utf-8") as file:
        while len(seen) < 200:
            prompt, answer = make(Split(rng, False))
            if prompt not in seen:
                seen.add(prompt)
                file.write(json.dumps({"messages": [
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": answer}]}) + "\n")
    with (out / "test.jsonl").open("w", encoding="utf-8") as file:
        number = 0
        while number < 100:
            prompt, answer = make(Split(rng, True))
            if prompt in seen:
                continue
            seen.add(prompt)
            number += 1
            file.write(json.dumps({
                "id": f"{name}-{number:03}", "dimension": "instruction", "language": "en",
                "prompt": prompt, "reference": answer, "grader": "text",
                "args": {"accept": [answer], "exact": True}, "max_tokens": most}) + "\n")


main()
