"""LoRA adapters at inference (--adapter): the same tokens as merged weights on both families,
several at once with scales, on quantized weights, in any batch; what does not fit is refused."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

from train_test import PHI, QWEN, UNDER_TSAN, make_model, train, write_data

PROGRAM = os.environ["TANDEM_PROGRAM"]
TARGETS = {"qwen": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj",
           "phi": "qkv_proj,o_proj,gate_up_proj,down_proj"}
rng = random.Random(11)
LONG = [rng.randrange(2, 300) for _ in range(40)]


def tandem(*words):
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=300)


def result_of(*words):
    run = tandem(*words)
    assert run.returncode == 0, f"{words}: {run.stderr}"
    return json.loads(run.stdout)


def with_adapters(adapters):
    return [word for adapter in adapters for word in ("--adapter", adapter)]


def listed(ids):
    return ",".join(map(str, ids))


def tokens(model, *adapters, n=32):
    return [result_of("generate", model, "--ids", listed(LONG[:k]), "--max-tokens", n, "--threads",
                      1, *with_adapters(adapters))["ids"] for k in (1, 5, 30)]


def scores(model, *adapters, ids=LONG, threads=1):
    return result_of("logits", model, "--ids", listed(ids), "--threads", threads,
                     *with_adapters(adapters))


def learn(work, name, base, seed, targets, steps=25):
    """An adapter that changes what the base says after some sequences of ids."""
    data, out = work / f"{name}.jsonl", work / name
    source = random.Random(seed)
    with open(data, "w") as f:
        for _ in range(4):
            print(json.dumps({"ids": [source.randrange(2, 300) for _ in range(40)]}), file=f)
    train("--model", base, "--lora", "--rank", 3 + seed % 4, "--alpha", 12, "--targets", targets,
          "--data", data, "--out", out, "--steps", 2 if UNDER_TSAN else steps, "--lr", "0.01", "--batch-tokens", 160,
          "--threads", 1, "--quiet")
    return out


def make_base(work, family, config):
    base, data = work / family, work / "base.jsonl"
    write_data(data, 50, 1)
    train("--model", make_model(work / f"{family}-shape", config), "--data", data, "--out", base,
          "--steps", 2 if UNDER_TSAN else 20, "--batch-tokens", 600, "--dtype", "f32", "--threads",
          1, "--quiet")
    return base


def merge(work, base, *adapters):
    out = work / "merged"
    shutil.rmtree(out, ignore_errors=True)
    run = tandem("merge", base, *adapters, "--out", out, "--dtype", "f32", "--quiet")
    assert run.returncode == 0, run.stderr
    return out


def assert_close(found, expected, what):
    worst = max(abs(a - b) for a, b in zip(found["logits_last"], expected["logits_last"]))
    assert worst < 2e-3, f"{what}: logits differ by {worst}"


def test_merged_and_unmerged_agree(work, base, first, second):
    plain = tokens(base)
    for adapters in ([first], [f"{first}=0.5"], [first, second],
                     [f"{first}=0.7", f"{second}=-0.4"]):
        merged = merge(work, base, *adapters)
        assert tokens(base, *adapters) == tokens(merged), f"{adapters}: other tokens than merged"
        assert_close(scores(base, *adapters), scores(merged), adapters)
    assert tokens(base, first) != plain, "the adapter does nothing: the test shows nothing"
    assert tokens(base, first, second) != tokens(base, first), "the second adapter does nothing"
    assert tokens(base, f"{first}=0") == plain, "an adapter of scale 0 does something"
    assert scores(base, f"{first}=0") == scores(base)


def test_batches_do_not_matter(base, first, second):
    """Each row's bits are the same alone, in small and in large batches, and in any thread."""
    adapters = [first, f"{second}=0.3"]
    whole = scores(base, *adapters)
    for threads in (2, 3):
        assert scores(base, *adapters, threads=threads) == whole, f"{threads} threads"
    for n in (1, 2, 7, 23, 24):
        part = scores(base, *adapters, ids=LONG[:n])
        assert part["nll"] == whole["nll"][:n - 1], f"{n} rows"
        assert part["logits_first"] == whole["logits_first"], f"{n} rows"
    # Token by token, as generation does it, against all rows at once.
    answer = result_of("generate", base, "--ids", listed(LONG[:5]), "--max-tokens", 30,
                       "--logprobs", 0, *with_adapters(adapters))
    nll = scores(base, *adapters, ids=LONG[:5] + answer["ids"])["nll"][4:]
    for i, (choice, expected) in enumerate(zip(answer["logprobs"], nll)):
        assert abs(choice["logprob"] + expected) < 1e-5, f"token {i}: {choice} and {expected}"


def test_quantized_base(work, base, adapter):
    """The weights stay as stored; what the adapter adds is what it adds to the dense model."""
    learned = json.loads((work / f"{adapter.name}.jsonl").read_text().splitlines()[0])["ids"]
    for kind in ("Q8_0", "Q4_0"):
        quantized = work / f"{base.name}-{kind}.gguf"
        run = tandem("quantize", base, quantized, "--type", kind)
        assert run.returncode == 0, run.stderr
        nll = [sum(scores(model, *adapters, ids=learned)["nll"])
               for model, adapters in ((base, []), (base, [adapter]), (quantized, []),
                                       (quantized, [adapter]))]
        gain, quantized_gain = nll[0] - nll[1], nll[2] - nll[3]
        assert gain > 10, f"the adapter changes too little to test anything: {nll}"
        assert abs(gain - quantized_gain) < 0.1 * gain, f"{kind}: {nll}"


def refused(base, adapter, *expected):
    for words in (["logits", base, "--ids", "1,2"], ["generate", base, "--ids", "1,2"],
                  ["run", base, "hello"], ["bench", base, "-p", 4, "-n", 0, "-r", 1]):
        run = tandem(*words, "--adapter", adapter)
        assert run.returncode == 1, f"{words}: {run.returncode}"
        for text in expected:
            assert text in run.stderr, f"{words}: no {text} in {run.stderr}"


def test_what_does_not_fit(work, qwen, phi, adapters):
    refused(qwen, adapters["phi"], "mlp.down_proj", "[64, 128]", "[64, 160]", str(qwen))
    refused(qwen, work / "phi-second", "layers.0.self_attn.qkv_proj", str(qwen), "another model")
    refused(phi, work / "qwen-second", "layers.0.self_attn.q_proj", str(phi), "another model")
    wide = make_base(work, "wide", QWEN | dict(intermediate_size=192))
    refused(wide, adapters["qwen"], "model.layers.0.mlp.down_proj", "[64, 160]", "[64, 192]")
    refused(qwen, work / "nowhere", "adapter_config.json", "nowhere")
    refused(qwen, f"{adapters['qwen']}=half", "adapter_config.json", "=half")
    config = work / "copy/adapter_config.json"
    shutil.copytree(adapters["qwen"], config.parent)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"r": 9}))
    refused(qwen, config.parent, "lora_A", '"r"')


def add_module(source, out, name, rows, cols):
    """A copy of the adapter with one module more, of small values."""
    shutil.copytree(source, out)
    path = out / "adapter_model.safetensors"
    rank = json.loads((out / "adapter_config.json").read_text())["r"]
    blob = path.read_bytes()
    size = int.from_bytes(blob[:8], "little")
    header, data = json.loads(blob[8:8 + size]), blob[8 + size:]
    values = random.Random(2)
    for letter, shape in (("A", [rank, cols]), ("B", [rows, rank])):
        count = shape[0] * shape[1]
        header[f"base_model.model.{name}.lora_{letter}.weight"] = {
            "dtype": "BF16", "shape": shape, "data_offsets": [len(data), len(data) + 2 * count]}
        data += b"".join((values.choice((0x3d00, 0xbd80)) + values.randrange(64)).to_bytes(
            2, "little") for _ in range(count))
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return out


def test_head(work, base, adapter, tied):
    """lm_head can be adapted where it has weights of its own; the embedding never."""
    head = add_module(adapter, work / f"{base.name}-head", "lm_head", 300, 64)
    if tied:
        return refused(base, head, "lm_head")
    merged = merge(work, base, head)
    assert tokens(base, head) == tokens(merged)
    assert_close(scores(base, head), scores(merged), "lm_head")
    assert scores(base, head)["logits_last"] != scores(base, adapter)["logits_last"]
    embedding = add_module(adapter, work / f"{base.name}-embed", "model.embed_tokens", 300, 64)
    refused(base, embedding, "model.embed_tokens", "linear maps")


def test_every_command(work, base, adapter):
    shutil.copytree(adapter, work / "tuned=5")
    run = result_of("run", base, "hello", "--max-tokens", 4, "--json", "--adapter", adapter)
    assert run["model"] == f"{base.name} + {adapter.name}", run["model"]
    found = result_of("bench", base, "-p", 8, "-n", 2, "-r", 1, "--json", "--adapter",
                      f"{work / 'tuned=5'}/=0.5")
    assert found["model"] == f"{base.name} + tuned=5=0.5", found["model"]
    assert tokens(base, work / "tuned=5") == tokens(base, adapter), "the folder's name was cut"
    text = work / "text.txt"
    text.write_text("The same text, over and over. " * 8)
    apart = result_of("perplexity", base, "--text", text, "--window", 64, "--json",
                      "--against", base, "--adapter", adapter)
    merged = result_of("perplexity", merge(work, base, adapter), "--text", text,
                       "--window", 64, "--json")
    assert apart["adapters"] == [str(adapter)] and apart["kl_divergence"] > 0.01, apart
    assert abs(apart["nll"] - merged["nll"]) < 1e-3, (apart, merged)
    suite = work / "suite.jsonl"
    suite.write_text("".join(json.dumps({
        "id": f"{d}-1", "dimension": d, "language": "en", "prompt": f"What is 1 + 2? ({d})",
        "reference": "3", "grader": "number", "args": {"value": 3}}) + "\n"
        for d in ("instruction", "math", "code", "structured")))

    def answers(out, *words):
        run = tandem("compare", base, base, "--suite", suite, "--out", work / out, "--max-tokens",
                     16, "--context", 256, "--threads", 1, *words)
        assert run.returncode == 0, run.stderr
        lines = map(json.loads, (work / out / "answers.jsonl").read_text().splitlines())
        texts = {"a": [], "b": []}
        for line in lines:
            texts[line["side"]].append((line["model"], line["answer"]["text"]))
        return texts
    plain, adapted = base.name, f"{base.name} + {adapter.name}"
    one = answers("one", "--adapter-b", adapter)
    assert {name for name, _ in one["a"]} == {plain} and {n for n, _ in one["b"]} == {adapted}, one
    assert one["a"] != one["b"]
    models = json.loads((work / "one/report.json").read_text())["models"]
    files = {side: {pathlib.Path(f["path"]).name for f in models[side]["files"]} for side in "ab"}
    assert files["b"] - files["a"] == {"adapter_config.json", "adapter_model.safetensors"}, files
    both = answers("both", "--adapter", adapter)
    assert both["a"] == both["b"] == one["b"], "an adapter for both sides"
    run = tandem("compare", base, base, "--suite", suite, "--out", work / "wrong", "--adapter-a",
                 work / "nowhere", "--context", 256)
    assert run.returncode == 1 and "adapter_config.json" in run.stdout + run.stderr, run.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        bases, adapters = {}, {}
        for family, config in (("qwen", QWEN), ("phi", PHI)):
            base = bases[family] = make_base(work, family, config)
            first = adapters[family] = learn(work, f"{family}-first", base, 5, TARGETS[family])
            second = learn(work, f"{family}-second", base, 6, TARGETS[family].split(",")[0])
            if UNDER_TSAN:  # all else uses one thread
                test_batches_do_not_matter(base, first, second)
                continue
            test_merged_and_unmerged_agree(work, base, first, second)
            test_batches_do_not_matter(base, first, second)
            test_quantized_base(work, base, first)
            test_head(work, base, first, config["tie_word_embeddings"])
        if UNDER_TSAN:
            return
        test_what_does_not_fit(work, bases["qwen"], bases["phi"], adapters)
        test_every_command(work, bases["qwen"], adapters["qwen"])


if __name__ == "__main__":
    sys.exit(main())
