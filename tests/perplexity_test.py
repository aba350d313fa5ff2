#!/usr/bin/env python3
"""tandem perplexity against what tandem logits says of the same tokens; its windows, its difference
from a base, and the mistakes that its users make."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.environ["TANDEM_PROGRAM"]
MODELS = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "models"
QWEN, PHI = MODELS / "tandem-qwen-tiny", MODELS / "tandem-phi-tiny"
WINDOW = 32


def tandem(*words, status=0, **how):
    run = subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=300,
                         **how)
    assert run.returncode == status, (run.returncode, run.stderr)
    return run.stdout if status == 0 else run.stderr


def perplexity(model, text, *more):
    return json.loads(tandem("perplexity", model, "--text", text, "-c", WINDOW, "--kv-type", "f32",
                             "--json", "--threads", 1, *more))


def tokens(model, text, *more):
    return json.loads(tandem("tokenize", model, *more, input=json.dumps({"text": text})))["ids"]


def likelihoods(model, window):
    """Of the second half of a window, from the log-likelihoods of a sequence."""
    nll = json.loads(tandem("logits", model, "--ids", ",".join(map(str, window)), "--threads", 1))["nll"]
    return nll[len(window) // 2:]


def by_definition(model, ids, first=None):
    nll = []
    ids = ids if first is None else [first, *ids]
    for begin in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = ids[begin:begin + WINDOW]
        nll += likelihoods(model, window if first is None else [first, *window[1:]])
    return nll


def mean_and_error(values):
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1) / len(values))


def close(a, b, bound=1e-4):
    assert abs(a - b) <= bound * max(abs(a), abs(b)), (a, b)


def begins_with_bos(folder, target, how):
    """A copy of a checkpoint whose texts begin with bos: by a flag, or by the post-processor."""
    shutil.copytree(folder, target)
    path = target / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["add_bos_token"]
    if how == "flag":
        config["add_bos_token"] = True
    else:
        config.pop("add_eos_token", None)
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
        document = json.loads((target / "tokenizer.json").read_text())
        bos = config["bos_token"]
        document["post_processor"] = {
            "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": bos, "type_id": 0}},
                                                     {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [], "special_tokens": {bos: {"id": bos, "ids": [1], "tokens": [bos]}}}
        (target / "tokenizer.json").write_text(json.dumps(document))
    path.write_text(json.dumps(config))
    return target


def test_definition(work, text):
    ids = tokens(QWEN, text.read_text(), "--plain")
    nll = by_definition(QWEN, ids)
    mean, error = mean_and_error(nll)
    found = perplexity(QWEN, text)
    assert found["tokens"] == len(nll) == len(ids) // WINDOW * (WINDOW // 2 - 1), found
    close(found["nll"], mean)
    close(found["perplexity"], math.exp(mean))
    close(found["perplexity_error"], math.exp(mean) * error)


def test_base(work, text):
    small = work / "small.gguf"
    tandem("quantize", QWEN, small, "--type", "q4_0")
    ids = tokens(QWEN, text.read_text(), "--plain")
    model, base = by_definition(small, ids), by_definition(QWEN, ids)
    # The base's cache is in F16 always, that of "logits" in F32.
    found = perplexity(small, text, "--against", QWEN)
    close(found["base_perplexity"], math.exp(sum(base) / len(base)), 1e-3)
    close(found["perplexity_delta"], found["perplexity"] - found["base_perplexity"], 1e-9)
    close(found["perplexity_ratio"], found["perplexity"] / found["base_perplexity"], 1e-9)
    mean, error = mean_and_error([a - b for a, b in zip(model, base)])
    close(found["perplexity_ratio_error"], math.exp(mean) * error, 1e-2)
    # of exp(a) - exp(b), from the positions themselves
    p, q = math.exp(sum(model) / len(model)), math.exp(sum(base) / len(base))
    close(found["perplexity_delta_error"],
          mean_and_error([p * a - q * b for a, b in zip(model, base)])[1], 1e-2)
    plain = tandem("perplexity", small, "--text", text, "-c", WINDOW, "--against", QWEN)
    assert "difference" in plain and "same first choice" in plain, plain


def test_bos(work, text):
    """Where texts begin with bos, windows do, in a folder and in the file that is made of it."""
    for how in ("flag", "document"):
        folder = begins_with_bos(PHI, work / f"bos-{how}", how)
        file = work / f"bos-{how}.gguf"
        tandem("quantize", folder, file, "--type", "bf16")
        assert tokens(folder, "hi", "--add-special") == tokens(file, "hi", "--add-special") == [
            1, *tokens(PHI, "hi", "--plain")]
        nll = by_definition(folder, tokens(folder, text.read_text(), "--plain"), first=1)
        for model in (folder, file):
            found = perplexity(model, text)
            assert found["tokens"] == len(nll), found
            close(found["nll"], sum(nll) / len(nll))
    # without a flag and without a post-processor there is no bos, nor is there in the file
    plain = begins_with_bos(PHI, work / "no-bos", "document")
    document = json.loads((plain / "tokenizer.json").read_text()) | {"post_processor": None}
    (plain / "tokenizer.json").write_text(json.dumps(document))
    tandem("quantize", plain, work / "no-bos.gguf", "--type", "bf16")
    for model in (plain, work / "no-bos.gguf"):
        assert tokens(model, "hi", "--add-special") == tokens(model, "hi", "--plain")


def test_mistakes(work, text):
    def refused(*words, status=1):
        return tandem("perplexity", *words, status=status)

    short = work / "short.txt"
    short.write_text("hi")
    binary = work / "binary"
    binary.write_bytes(b"text\0more" * 1000)
    assert f"{short} has " in refused(QWEN, "--text", short)
    assert f"{binary} holds a NUL byte" in refused(QWEN, "--text", binary)
    for window in ("0", "2", "7"):
        assert "--window" in refused(QWEN, "--text", text, "-c", window, status=2)
    long = work / "long.txt"
    long.write_text(text.read_text() * 30)
    message = refused(QWEN, "--text", long, "-c", 2048)
    assert "a window of 2048 tokens" in message and str(QWEN) in message and "1024" in message
    message = refused(PHI, "--text", long, "--against", QWEN)
    assert "different tokenizers" in message and str(PHI) in message, message
    assert "--text is missing" in refused(QWEN, status=2)


def main():
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        text = work / "text.txt"
        text.write_text("What is 17 + 25? It is 42, and 3 apples cost 6 francs. " * 8)
        test_definition(work, text)
        test_base(work, text)
        test_bos(work, text)
        test_mistakes(work, text)


if __name__ == "__main__":
    sys.exit(main())
