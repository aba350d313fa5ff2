#!/usr/bin/env python3
"""tandem quantize as its users meet it: stopping and killing it, full disks, places that cannot be
written, sharded checkpoints, calibration, the progress bar; and --quantize in every command that
takes a model."""
import json
import os
import pathlib
import pty
import random
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

from serve_client import Server

PROGRAM = os.environ["TANDEM_PROGRAM"]
BUNDLED = pathlib.Path(os.environ["TANDEM_SOURCE"]) / "models/tandem-qwen-tiny"
NOBODY = 65534
LARGE = dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu",
             hidden_size=512, intermediate_size=2048, num_hidden_layers=6, num_attention_heads=8,
             num_key_value_heads=8, vocab_size=4096, max_position_embeddings=512, rms_norm_eps=1e-6,
             rope_theta=1e4, tie_word_embeddings=True, torch_dtype="bfloat16")


def tandem(*words, **how):
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=300,
                          **how)


def quantize(source, out, kind, *more, **how):
    return tandem("quantize", source, out, "--type", kind, *more, **how)


def refused(run, *expected, status=1):
    assert run.returncode == status, (run.returncode, run.stderr)
    for text in expected:
        assert str(text) in run.stderr, f"no \"{text}\" in {run.stderr}"


def listed(folder):
    return sorted(p.name for p in folder.iterdir())


def tensors_of(config):
    d, f = config["hidden_size"], config["intermediate_size"]
    yield "model.embed_tokens.weight", [config["vocab_size"], d]
    yield "model.norm.weight", [d]
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, shape in (("input_layernorm", [d]), ("post_attention_layernorm", [d]),
                            ("mlp.gate_proj", [f, d]), ("mlp.up_proj", [f, d]),
                            ("mlp.down_proj", [d, f]), ("self_attn.o_proj", [d, d])):
            yield f"{layer}{name}.weight", shape
        for name in "qkv":
            yield f"{layer}self_attn.{name}_proj.weight", [d, d]
            yield f"{layer}self_attn.{name}_proj.bias", [d]


def write_safetensors(path, tensors, values):
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2
        for n in shape:
            size *= n
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for left in range(offset, 0, -len(values)):
            file.write(values[:left])


def write_checkpoint(folder, config, n_files):
    """Weights of small random numbers, the same ones over and over."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    rng = random.Random(1)
    values = b"".join(struct.pack("<H", rng.randrange(0x3c00, 0x3d00) | rng.randrange(2) << 15)
                      for _ in range(1 << 15))
    tensors = list(tensors_of(config))
    if n_files == 1:
        write_safetensors(folder / "model.safetensors", tensors, values)
        return folder
    where = {}
    for i in range(n_files):
        name = f"model-{i + 1:05}-of-{n_files:05}.safetensors"
        write_safetensors(folder / name, tensors[i::n_files], values)
        where |= {tensor: name for tensor, _ in tensors[i::n_files]}
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": where}))
    return folder


def start(source, out, kind):
    """Comes back when the output is being written, under its temporary name."""
    process = subprocess.Popen([PROGRAM, "quantize", source, out, "--type", kind, "--threads", "1"],
                               stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while not listed(out.parent):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.001)
    return process


def test_stopping(work, source):
    """Ctrl-C and SIGTERM leave nothing, kill -9 one file that is in nobody's way."""
    for kind, name in (("q4_k_m", "out.gguf"), ("nf4", "out")):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            folder = work / f"stopped-{kind}-{how}"
            folder.mkdir()
            process = start(source, folder / name, kind)
            process.send_signal(how)
            message = process.communicate()[1]
            if how != signal.SIGKILL:
                assert process.returncode == 1 and "nothing was written" in message, message
                assert listed(folder) == [], listed(folder)
                continue
            assert process.returncode == -signal.SIGKILL, "it was too late to kill the program"
            [left] = listed(folder)
            assert left.startswith(f"{name}.") and not left.endswith(".gguf"), left
            names = json.loads(tandem("models", "--json", env=os.environ | {
                "TANDEM_MODELS": str(folder)}).stdout)
            assert not [m for m in names if str(folder) in m["path"]], names
            assert quantize(BUNDLED, folder / name, kind).returncode == 0
            assert listed(folder) == sorted([name, left])


def limit_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def test_disks_that_are_full(work, source):
    """Files limited to a megabyte; and a real small disk, where one can be mounted."""
    for kind, name in (("q8_0", "out.gguf"), ("int8", "out")):
        folder = work / f"limited-{kind}"
        folder.mkdir()
        refused(quantize(BUNDLED, folder / name, kind, preexec_fn=limit_files), folder, "too large")
        assert listed(folder) == [], listed(folder)
    disk = work / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk],
                             capture_output=True).returncode == 0
    if not mounted:
        print("no small disk could be mounted: that part is left out")
        return
    try:
        for kind, name in (("q8_0", "out.gguf"), ("int8", "out")):
            before = time.monotonic()
            run = quantize(source, disk / name, kind)
            refused(run, disk / "out", "it needs", "8.4 MB free", "make room there")
            assert listed(disk) == [], listed(disk)
            assert time.monotonic() - before < 10, "the work was done before the disk was asked"
        assert quantize(BUNDLED, disk / "small.gguf", "q8_0").returncode == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def without_rights():
    """Who runs the program so that closed folders are closed to it: not root, who may write
    anywhere. None where the program lies where nobody else can reach it."""
    if os.geteuid():
        return {}
    nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    try:
        subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, **nobody)
    except PermissionError:
        print(f"{PROGRAM} is in a folder that is closed to others: that part is left out")
        return None
    return nobody


def test_places_that_cannot_be_written(work):
    for kind, name in (("q4_0", "x.gguf"), ("nf4", "x")):
        refused(quantize(BUNDLED, work / "nowhere" / name, kind), work / "nowhere", "make it first")
        file = work / "a-file"
        file.write_text("kept")
        refused(quantize(BUNDLED, file / name, kind), "there is no folder", file)
        closed = work / "closed"
        closed.mkdir(mode=0o555, exist_ok=True)
        os.chmod(work, 0o755)
        nobody = without_rights()
        if nobody is not None:
            refused(quantize(BUNDLED, closed / name, kind, **nobody), closed / name,
                    "Permission denied", "choose a folder that you may write to")
        assert listed(closed) == [] and file.read_text() == "kept"


def test_what_is_there_stays(work):
    copy = work / "copy"
    shutil.copytree(BUNDLED, copy)
    before = listed(copy)
    refused(quantize(copy, copy, "nf4"), "both the input and the output")
    refused(quantize(copy, f"{copy}/", "nf4"), "both the input and the output")
    assert listed(copy) == before
    out = work / "there.gguf"
    assert quantize(copy, out, "q4_0").returncode == 0
    first = out.read_bytes()
    refused(quantize(copy, out, "q8_0"), out, "--overwrite")
    assert out.read_bytes() == first
    refused(quantize(out, out, "q8_0", "--overwrite"), "both the input and the output")
    os.chmod(out, 0o444)  # replaced all the same: it is the folder that has to be writable
    assert quantize(copy, out, "q8_0", "--overwrite").returncode == 0
    assert out.read_bytes() != first
    folder = work / "folder.gguf"
    folder.mkdir()
    refused(quantize(copy, folder, "q4_0"), folder, "is a folder")
    refused(quantize(copy, folder, "q4_0", "--overwrite"), folder, "is a folder")
    full = work / "full"
    shutil.copytree(BUNDLED, full)
    refused(quantize(copy, full, "nf4"), full, "remove it first")
    assert listed(full) == before


def logits(model, *more):
    run = tandem("logits", model, "--ids", "5,6,7,300", "--threads", 1, *more)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_shards(work, source):
    """The same values in one file and in three."""
    shards = write_checkpoint(work / "shards", LARGE | {"num_hidden_layers": 1}, 3)
    whole = write_checkpoint(work / "whole", LARGE | {"num_hidden_layers": 1}, 3)
    for kind in ("q4_k_m", "nf4"):
        out = work / f"shards-{kind}{'.gguf' if kind == 'q4_k_m' else ''}"
        assert quantize(shards, out, kind).returncode == 0
        if kind == "nf4":
            assert logits(out) == logits(shards, "--quantize", "nf4")
            assert not [n for n in listed(out) if "index" in n or "-of-" in n], listed(out)
    next(whole.glob("*-00002-of-*")).unlink()
    refused(quantize(whole, work / "partial.gguf", "q4_0"), "model-00002-of-00003")
    assert not (work / "partial.gguf").exists()


def test_calibration(work):
    chats, text, empty, wrong = (work / n for n in ("c.jsonl", "c.txt", "empty.txt", "wrong.jsonl"))
    chats.write_text("".join(json.dumps({"messages": [
        {"role": "user", "content": f"What is {i} + 1?"},
        {"role": "assistant", "content": str(i + 1)}]}) + "\n" for i in range(60)))
    text.write_text("The quick brown fox jumps over the lazy dog. " * 40)
    empty.write_text("")
    wrong.write_text('{"text": "fine"}\n\n{bad\n')
    outs = [work / f"calibrated{i}.gguf" for i in range(3)]
    for out, more in zip(outs, ([], ["--calibrate", chats], ["--calibrate", text])):
        run = quantize(BUNDLED, out, "q4_0", *more)
        assert run.returncode == 0, run.stderr
        assert not more or "calibrated on" in run.stdout, run.stdout
    assert len({out.read_bytes() for out in outs}) == 3, "calibration changes nothing"
    out = work / "none.gguf"
    refused(quantize(BUNDLED, out, "q4_0", "--calibrate", empty), "no tokens")
    refused(quantize(BUNDLED, out, "q4_0", "--calibrate", work / "nofile"), work / "nofile")
    refused(quantize(BUNDLED, out, "q8_0", "--calibrate", text), "changes nothing", status=2)
    run = quantize(BUNDLED, out, "q4_0", "--calibrate", wrong)
    refused(run, f"{wrong}, line 3, column")
    assert run.stderr.count("line") == 1, run.stderr
    assert not out.exists()


def test_inputs_that_lose(work):
    """Quantized weights are quantized again, with a word; values that no block can hold are not."""
    small = work / "again.gguf"
    run = quantize(BUNDLED, small, "q4_0")
    assert run.returncode == 0 and run.stderr == "", run.stderr
    assert quantize(BUNDLED, work / "again-nf4", "nf4").returncode == 0
    for source, kind, name in ((small, "q8_0", "Q4_0"), (small, "nf4", "Q4_0"),
                               (work / "again-nf4", "q4_k_m", "NF4")):
        run = quantize(source, work / f"twice-{name}-{kind}{'' if kind == 'nf4' else '.gguf'}", kind)
        assert run.returncode == 0 and str(source) in run.stderr and name in run.stderr, run.stderr
    for kind in ("f32", "q4_0"):  # nothing more is lost
        run = quantize(small, work / f"kept-{kind}.gguf", kind)
        assert run.returncode == 0 and run.stderr == "", run.stderr
    assert (work / "kept-q4_0.gguf").read_bytes() == small.read_bytes()
    weight = "model.layers.1.mlp.up_proj.weight"
    for name, bits, kinds in (("nan", 0x7fc0, ("q4_0", "q4_k_m", "q8_0", "f16", "nf4", "int8")),
                              ("infinite", 0xff80, ("q6_k",)), ("large", 0x4780, ("f16",))):
        broken = work / f"broken-{name}"
        shutil.copytree(BUNDLED, broken)
        with open(broken / "model.safetensors", "r+b") as file:
            length, = struct.unpack("<Q", file.read(8))
            begin = json.loads(file.read(length))[weight]["data_offsets"][0]
            file.seek(8 + length + begin + 2 * 100)
            file.write(struct.pack("<H", bits))
        for kind in kinds:
            out = work / f"{name}-{kind}{'' if kind in ('nf4', 'int8') else '.gguf'}"
            refused(quantize(broken, out, kind), weight, "element 100 of a row", broken)
            assert not out.exists()
            refused(tandem("logits", broken, "--ids", "1,2", "--quantize", kind), weight)
    assert quantize(work / "broken-large", work / "large-q8_0.gguf", "q8_0").returncode == 0
    refused(tandem("quantize", BUNDLED, small, "q8_0"), "--type", status=2)


def test_progress(work, source):
    """A bar on a terminal, which goes when the work is done; none elsewhere."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([PROGRAM, "quantize", source, work / "bar.gguf", "--type", "q6_k"],
                               stderr=follower, stdout=subprocess.PIPE, text=True)
    os.close(follower)
    seen = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        seen += part
    process.communicate()
    os.close(leader)
    assert process.returncode == 0
    assert b"quantizing (MB) [" in seen and b" left  " in seen, seen
    assert seen.endswith(b"\r\x1b[K"), seen[-80:]
    assert quantize(source, work / "no-bar.gguf", "q6_k").stderr == ""


def serve_answer(model, *more):
    """What a server answers greedily to the ids 5, 6, 7."""
    with Server(*more, models=[model]) as server:
        choice = server.json("POST", "/v1/completions", {
            "prompt": [5, 6, 7], "max_tokens": 8, "temperature": 0, "logprobs": 1})["choices"][0]
        return choice["text"], choice["logprobs"]["token_logprobs"]


def compared(work, model, out, *more):
    suite = work / "suite.jsonl"
    suite.write_text("".join(json.dumps({
        "id": f"{d}-1", "dimension": d, "language": "en", "prompt": f"What is 1 + 2? ({d})",
        "reference": "3", "grader": "number", "args": {"value": 3}}) + "\n"
        for d in ("instruction", "math", "code", "structured")))
    run = tandem("compare", model, model, "--suite", suite, "--out", work / out, "--max-tokens", 12,
                 "--context", 256, "--threads", 1, *more)
    assert run.returncode == 0, run.stderr
    answers = map(json.loads, (work / out / "answers.jsonl").read_text().splitlines())
    return sorted((a["side"], a["id"], a["answer"]["text"]) for a in answers)


def test_every_command(work):
    """--quantize T gives what a file of that type gives."""
    text = work / "fox.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    plain = logits(BUNDLED)
    for kind in ("nf4", "q4_0", "q8_0"):
        stored = work / f"stored-{kind}{'' if kind == 'nf4' else '.gguf'}"
        assert quantize(BUNDLED, stored, kind).returncode == 0
        more = ("--quantize", kind)
        assert plain != logits(stored) == logits(BUNDLED, *more), kind
        for words in (["generate", "--ids", "5,6,7", "--max-tokens", 8, "--logprobs", 1],
                      ["run", "What is 2 + 3?", "--greedy", "--max-tokens", 8],
                      ["perplexity", "--text", text, "-c", 64]):
            both = [tandem(words[0], model, *words[1:], "--threads", 1, *rest)
                    for model, rest in ((stored, ()), (BUNDLED, more))]
            assert both[0].returncode == both[1].returncode == 0, both
            assert both[0].stdout == both[1].stdout, (kind, words, both)
        chat = [tandem("run", model, "--greedy", "--max-tokens", 8, *rest, input="What is 2 + 3?\n")
                for model, rest in ((stored, ()), (BUNDLED, more))]
        assert chat[0].returncode == 0 and chat[0].stdout == chat[1].stdout != "", chat
        bench = tandem("bench", BUNDLED, "-p", 8, "-n", 2, "-r", 1, "--json", *more)
        assert bench.returncode == 0 and kind.upper() in json.loads(bench.stdout)["model"], bench
        assert serve_answer(stored) == serve_answer(BUNDLED, *more), kind
        both = compared(work, BUNDLED, f"both-{kind}", *more)
        assert both == compared(work, stored, f"stored-{kind}-report"), kind
        one = compared(work, BUNDLED, f"one-{kind}", "--quantize-b", kind)
        assert [a for a in one if a[0] == "b"] == [a for a in both if a[0] == "b"], kind
    refused(tandem("logits", BUNDLED, "--ids", "1", "--quantize", "q9"), "q9", status=2)
    refused(tandem("logits", BUNDLED, "--ids", "1", "--threads", 10000), "1024", status=2)


def main():
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        source = write_checkpoint(work / "large", LARGE, 1)
        test_stopping(work, source)
        test_disks_that_are_full(work, source)
        test_places_that_cannot_be_written(work)
        test_what_is_there_stays(work)
        test_shards(work, source)
        test_calibration(work)
        test_inputs_that_lose(work)
        test_progress(work, source)
        test_every_command(work)


if __name__ == "__main__":
    sys.exit(main())
