"""tandem train-tokenizer: the merges are those of a plain, slow trainer; both kinds give back
every text; the tokenizer's ids lie where config and generation defaults say."""
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

PROGRAM = os.environ["TANDEM_PROGRAM"]


def run(*args, **kwargs):
    done = subprocess.run([PROGRAM, *map(str, args)], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stderr
    return done.stdout


def slow_merges(words, symbols, count):
    """The most frequent pair first; ties: smaller numbers of symbols. words: {tuple: count}"""
    number = {s: i for i, s in enumerate(symbols)}
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                if len("".join(pair).encode()) <= 32:
                    pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], number[p[0]], number[p[1]]))
        if pairs[best] < 2:
            break
        merges.append(" ".join(best))
        number["".join(best)] = len(number)
        after = collections.Counter()
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                joined = word[i:i + 2] == best
                out.append("".join(best) if joined else word[i])
                i += 2 if joined else 1
            after[tuple(out)] += n
        words = after
    return merges


def random_text(rng):
    return " ".join("".join(rng.choice("aabcde") for _ in range(rng.randrange(1, 9)))
                    for _ in range(rng.randrange(1, 12)))


def byte_letters():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(rest)) for b in range(256)]


def check_merges(work, texts):
    data = work / "words.jsonl"
    data.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    words = collections.Counter()
    for text in texts:
        for i, word in enumerate(text.split(" ")):
            words[tuple(("\u0120" if i else "") + word)] += 1
    run("train-tokenizer", data, "--size", 400, "--out", work / "bytes")
    document = json.loads((work / "bytes/tokenizer.json").read_text())
    found = document["model"]["merges"]
    expected = slow_merges(words, sorted(byte_letters()), 400 - 256 - 22)
    assert found == expected, [p for p in zip(found, expected) if p[0] != p[1]][:3]
    words = collections.Counter()
    for text in texts:
        for word in text.split(" "):
            words[tuple("\u2581" + word)] += 1
    run("train-tokenizer", data, "--size", 400, "--like", "phi3", "--out", work / "characters")
    document = json.loads((work / "characters/tokenizer.json").read_text())
    vocab = list(document["model"]["vocab"])
    symbols = [piece for piece in vocab[259:] if len(piece) == 1]
    found = document["model"]["merges"]
    expected = slow_merges(words, symbols, 400 - 259 - 11 - len(symbols))
    assert found == expected, [p for p in zip(found, expected) if p[0] != p[1]][:3]


def check_round_trips(work, texts):
    odd = [" leading", "trailing  ", "a\n\n\tb   c", "3.14 = \u03c0", "\u4e2d\u6587\uff0c\u6df7\u5408",
           "\U0001f600\U0001d518", "x'll", "\u00e9", ""]
    for kind in ("bytes", "characters"):
        lines = "".join(json.dumps({"text": t}) + "\n" for t in texts + odd)
        ids = run("tokenize", work / kind, input=lines)
        back = run("tokenize", work / kind, "--decode", input=ids)
        for text, line in zip(texts + odd, back.splitlines()):
            assert json.loads(line)["text"] == text, (kind, text, line)
        generation = json.loads((work / kind / "generation_config.json").read_text())
        end = "<|im_end|>" if kind == "bytes" else "<|end|>"
        line = run("tokenize", work / kind, input=json.dumps({"text": end}) + "\n")
        assert json.loads(line)["ids"][-1] in generation["eos_token_id"], (kind, line)


def check_separate_words(work):
    """A name has the same tokens behind a comma, a quote, a blank or another ideograph."""
    file = work / "names.jsonl"
    names = ["Kedanton", "Rome", "\u7f57\u8f89", "\u9ad8\u8d85"]
    text = "".join(f"{a},{b} \"{a}\" {b}{a}\n" for a in names for b in names)
    file.write_text(json.dumps({"text": text * 5}) + "\n")
    for kind in ("qwen2", "phi3"):
        run("train-tokenizer", file, "--like", kind, "--size", 600, "--separate-words", "--out",
            work / f"separate-{kind}")

        def ids(text):
            line = json.dumps({"text": text}) + "\n"
            return json.loads(run("tokenize", work / f"separate-{kind}", input=line))["ids"]
        for name in names:
            alone = ids("\n" + name)[len(ids("\n")):]
            assert alone and len(alone) <= 2, (name, alone)
            for before in (",", '"', " ", "/", "\u9ad8"):
                assert ids("\n" + before + name)[-len(alone):] == alone, (kind, before, name)


def main():
    rng = random.Random(1)
    texts = [random_text(rng) for _ in range(200)]
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        check_merges(work, texts)
        check_round_trips(work, texts)
        check_separate_words(work)
        small = subprocess.run([PROGRAM, "train-tokenizer", str(work / "words.jsonl"), "--size",
                                "100", "--out", str(work / "small")], capture_output=True, text=True)
        assert small.returncode == 1 and "at least 279" in small.stderr, small.stderr


if __name__ == "__main__":
    sys.exit(main())
