"""tandem train and tandem merge from the command line: resuming after kill -9 and after Ctrl-C,
the same bits with any number of threads, mixed precision, LoRA and merging, what is refused."""
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

from instruction_sets import available_isas

PROGRAM = os.environ["TANDEM_PROGRAM"]
# ThreadSanitizer sees what threads share; all else here uses one thread and takes minutes under it.
UNDER_TSAN = os.environ.get("TANDEM_SANITIZE") == "thread"

QWEN = dict(architectures=["Qwen2ForCausalLM"], model_type="qwen2", hidden_act="silu",
            hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
            num_key_value_heads=2, vocab_size=300, max_position_embeddings=512,
            rms_norm_eps=1e-6, rope_theta=1e4, tie_word_embeddings=True, use_sliding_window=False,
            eos_token_id=1, bos_token_id=0, torch_dtype="bfloat16")
PHI = dict(architectures=["Phi3ForCausalLM"], model_type="phi3", hidden_act="silu", hidden_size=64,
           intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
           num_key_value_heads=4, vocab_size=300, max_position_embeddings=512,
           original_max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=1e4,
           tie_word_embeddings=False, sliding_window=64, rope_scaling=None, eos_token_id=1,
           bos_token_id=0, torch_dtype="bfloat16")


def train(*args, check=True, isa=None):
    env = os.environ | ({"TANDEM_ISA": isa} if isa else {})
    run = subprocess.run([PROGRAM, "train", *map(str, args)], capture_output=True, text=True,
                         env=env)
    assert not check or run.returncode == 0, run.stderr
    return run


def events(folder, kind):
    log = (folder / "train.jsonl").read_text().splitlines()
    return [e for e in map(json.loads, log) if e["event"] == kind]


def losses(folder):
    return [(e["step"], e["loss"], e["norm"]) for e in events(folder, "step")]


def write_data(path, count, seed, long_one=False):
    """Examples in which each token says which comes next: learnable."""
    rng = random.Random(seed)
    with open(path, "w") as f:
        for i in range(count):
            ids = [rng.randrange(2, 300)]
            while len(ids) < (400 if long_one and i == 0 else rng.randrange(5, 60)):
                ids.append((ids[-1] * 7 + 3) % 298 + 2)
            print(json.dumps({"ids": ids, "labels": [-100] * 2 + ids[2:]}), file=f)


def byte_letters():
    """GPT-2's printable stand-ins for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(rest)) for b in range(256)]


SPECIAL = {name: 256 + i for i, name in enumerate(["<|end|>", "<|user|>", "<|assistant|>"])}
TEMPLATE = ("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")


def make_model(folder, config):
    """A shape without weights, with a tokenizer of bytes."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [256]}))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
             "use_regex": False}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "pre_tokenizer": level, "post_processor": level, "decoder": level,
        "added_tokens": [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False,
                              normalized=False, special=True) for name, i in SPECIAL.items()],
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False,
                  "byte_fallback": False, "merges": [],
                  "vocab": {c: i for i, c in enumerate(byte_letters())}}}))
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|end|>", "chat_template": TEMPLATE}))
    return folder


def wait_for_step(folder, step, process):
    log = folder / "train.jsonl"
    for _ in range(3000):
        if log.exists() and log.read_text().count('"event":"step"') >= step:
            return
        assert process.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.01)
    raise AssertionError("no progress")


def test_resume(work, model, data, eval_data):
    """Killed, interrupted or left alone: the same losses bit for bit, and the same files."""
    common = ["--model", model, "--data", data, "--eval", eval_data, "--steps", 120,
              "--batch-tokens", 600, "--micro-tokens", 256, "--save-every", 7, "--warmup", 5,
              "--eval-every", 50, "--threads", 1, "--quiet"]
    train(*common, "--out", work / "whole")
    expected = losses(work / "whole")
    assert [s for s, _, _ in expected] == list(range(1, 121))
    assert expected[-1][1] < 0.6 * expected[0][1], f"nothing was learned: {expected[-1]}"
    train(*common, "--out", work / "halved", "--stop-after", 60)
    assert (work / "halved" / "model.safetensors").is_file()
    assert losses(work / "halved") == expected[:60]
    train(*common, "--out", work / "halved", "--resume")
    assert losses(work / "halved") == expected
    for name, how in (("killed", signal.SIGKILL), ("interrupted", signal.SIGINT)):
        out = work / name
        process = subprocess.Popen([PROGRAM, "train", *map(str, common), "--out", out],
                                   stderr=subprocess.PIPE)
        wait_for_step(out, 20, process)
        process.send_signal(how)
        message = process.communicate()[1].decode()
        assert process.returncode == (-9 if how == signal.SIGKILL else 1), process.returncode
        assert how == signal.SIGKILL or "--resume" in message, message
        at = len(losses(out))
        assert at < 120, "it was too late to stop the run"
        train(*common, "--out", out, "--resume")
        assert losses(out) == expected, f"{name} at {at}: other losses after going on"
        assert [e["loss"] for e in events(out, "eval")] == [
            e["loss"] for e in events(work / "whole", "eval")]
        for file in ("model.safetensors", "config.json"):
            assert (out / file).read_bytes() == (work / "whole" / file).read_bytes(), file
        assert not (out / "training.state").exists()


def test_other_settings_do_not_resume(work, model, data):
    out = work / "settings"
    common = ["--model", model, "--data", data, "--batch-tokens", 600, "--save-every", 1,
              "--out", out, "--threads", 1, "--quiet"]
    process = subprocess.Popen([PROGRAM, "train", *map(str, common), "--steps", "5000"],
                               stderr=subprocess.DEVNULL)
    wait_for_step(out, 3, process)
    process.send_signal(signal.SIGTERM)
    process.wait()
    run = train(*common, "--steps", 5000, "--lr", "0.5", "--resume", check=False)
    assert run.returncode == 1 and '"rate"' in run.stderr, run.stderr
    run = train(*common, "--steps", 5000, "--bf16", "--resume", check=False)
    assert run.returncode == 1 and '"bf16"' in run.stderr, run.stderr
    state = out / "training.state"
    state.write_bytes(state.read_bytes().replace(b"bf16", b"past"))
    process = subprocess.Popen([PROGRAM, "train", *map(str, common), "--steps", "5000",
                                "--resume"], stderr=subprocess.PIPE)
    wait_for_step(out, len(losses(out)) + 1, process)  # a state from before there was --bf16
    process.send_signal(signal.SIGTERM)
    process.communicate()
    state.write_bytes(state.read_bytes()[:-100])
    run = train(*common, "--steps", 5000, "--resume", check=False)
    assert run.returncode == 1 and "training.state" in run.stderr, run.stderr
    run = train(*common, "--steps", 5000, "--resume", "--out", work / "nothing", check=False)
    assert run.returncode == 1 and "training.state" in run.stderr, run.stderr


def test_threads(work, model, data):
    """The same bits with any number of threads: all weights, and adapters on frozen ones."""
    base = work / "threads1"
    for kind, start in (("", model), ("lora", base), ("bf16", model)):
        options = {"lora": ["--lora", "--rank", 4], "bf16": ["--bf16"]}.get(kind, [])
        found = []
        for threads in (1, 2, 3):
            out = work / f"{kind}threads{threads}"
            train("--model", start, "--data", data, "--out", out, "--steps", 6, "--batch-tokens",
                  600, "--threads", threads, "--quiet", *options)
            found.append(losses(out))
        assert found[0] == found[1] == found[2], f"{kind}: threads change losses"


def test_bf16(work, model, data):
    """Close to floats, not equal to them; the same bits with any number of threads. Every
    instruction set of this CPU."""
    common = ["--model", model, "--data", data, "--steps", 30, "--batch-tokens", 600,
              "--micro-tokens", 256, "--warmup", 5, "--quiet"]
    train(*common, "--out", work / "f32")
    floats = losses(work / "f32")
    for isa in available_isas():
        runs = []
        for threads in (1, 2):
            out = work / f"bf16-{isa}-{threads}"
            train(*common, "--bf16", "--threads", threads, "--out", out, isa=isa)
            runs.append(losses(out))
        assert runs[0] == runs[1], f"{isa}: threads change losses"
        first, last = runs[0][0], runs[0][-1]
        assert 0 < abs(first[2] - floats[0][2]) < 0.004 * floats[0][2], (isa, first, floats[0])
        assert abs(first[1] - floats[0][1]) < 1e-4 * floats[0][1], (isa, first, floats[0])
        assert abs(last[1] - floats[-1][1]) < 0.002 * floats[-1][1], (isa, last, floats[-1])
    assert floats[-1][1] < 0.95 * floats[0][1], f"nothing was learned: {floats[-1]}"


def test_what_is_left_out_is_counted(work, model):
    data = work / "long.jsonl"
    write_data(data, 20, 9, long_one=True)
    with open(data, "a") as f:
        print(json.dumps({"ids": [3, 4, 5], "labels": [-100] * 3}), file=f)
    run = train("--model", model, "--data", data, "--out", work / "long", "--epochs", 2,
                "--batch-tokens", 200, "--json")
    result = json.loads(run.stdout)
    assert (result["examples"], result["too_long"], result["without_answer"]) == (19, 1, 1), result
    run = train("--model", model, "--data", data, "--out", work / "long", "--steps", 2,
                "--max-length", 3, check=False)
    assert run.returncode == 1 and "too long" in run.stderr, run.stderr
    with open(data, "a") as f:
        print(json.dumps({"ids": [3, 300]}), file=f)
    run = train("--model", model, "--data", data, "--out", work / "long", "--steps", 2, check=False)
    assert run.returncode == 1 and "line 22" in run.stderr and "300" in run.stderr, run.stderr


def read_tensors(path):
    blob = path.read_bytes()
    size = struct.unpack("<Q", blob[:8])[0]
    header = json.loads(blob[8:8 + size])
    header.pop("__metadata__", None)
    return header


def nll(model, ids):
    run = subprocess.run([PROGRAM, "logits", str(model), "--ids", ",".join(map(str, ids))],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["nll"]


def test_adapters(work, name, config, targets):
    """LoRA on a frozen base, PEFT's layout, and merged weights that compute the same."""
    base, tasks = work / f"{name}-base", []
    write_data(work / "base.jsonl", 50, 1)
    train("--model", make_model(work / f"{name}-shape", config), "--data", work / "base.jsonl",
          "--out", base, "--steps", 20, "--batch-tokens", 600, "--dtype", "f32", "--threads", 1, "--quiet")
    rng = random.Random(5)
    ids = [rng.randrange(2, 300) for _ in range(40)]
    one = work / "one.jsonl"
    one.write_text(json.dumps({"ids": ids}) + "\n")
    adapter = work / f"{name}-adapter"
    train("--model", base, "--lora", "--rank", 4, "--alpha", 12, "--targets", ",".join(targets),
          "--data", one, "--eval", one, "--out", adapter, "--steps", 40, "--lr", "0.01",
          "--batch-tokens", 100, "--weight-decay", "0", "--threads", 1, "--quiet")
    before = sum(nll(base, ids)) / 39
    after = events(adapter, "eval")[-1]["loss"]
    assert after < before - 0.5, f"{name}: {before} to {after}: nothing was learned"
    assert abs(losses(adapter)[0][1] - before) < 1e-3, "training does not start from the base"
    peft = json.loads((adapter / "adapter_config.json").read_text())
    assert peft["peft_type"] == "LORA" and peft["r"] == 4 and peft["lora_alpha"] == 12, peft
    assert sorted(peft["target_modules"]) == sorted(targets), peft
    tensors = read_tensors(adapter / "adapter_model.safetensors")
    assert len(tensors) == 2 * len(targets) * config["num_hidden_layers"], sorted(tensors)
    a = tensors[f"base_model.model.model.layers.0.self_attn.{targets[0]}.lora_A.weight"]
    assert a == {"dtype": "F32", "shape": [4, 64], "data_offsets": a["data_offsets"]}, a

    def merge(*adapters):
        out = work / f"{name}-merged"
        subprocess.run([PROGRAM, "merge", base, *adapters, "--out", out, "--dtype", "f32",
                        "--quiet"], check=True)
        return sum(nll(out, ids)) / 39
    assert abs(merge(adapter) - after) < 1e-4, "merged and unmerged differ"
    assert abs(merge(f"{adapter}=0") - before) < 1e-5
    assert abs(merge(f"{adapter}=0.5", f"{adapter}=0.5") - after) < 1e-4


def answer(model, prompt):
    run = subprocess.run([PROGRAM, "run", str(model), prompt, "--max-tokens", "12", "--greedy"],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def test_chats_are_learned(work):
    """From chats to answers: what was trained is what tandem run says, end token included."""
    opposite = {"hot": "cold", "up": "down", "open": "shut", "old": "new", "\u5927": "\u5c0f"}
    data = work / "chats.jsonl"
    data.write_text("".join(json.dumps({"messages": [
        {"role": "user", "content": q}, {"role": "assistant", "content": a}]}) + "\n"
        for q, a in opposite.items()))
    for name, config in (("qwen", QWEN), ("phi", PHI)):
        out = work / f"{name}-chats"
        train("--model", work / f"{name}-shape", "--data", data, "--out", out, "--steps", 60,
              "--lr", "0.01", "--warmup", 5, "--batch-tokens", 100, "--threads", 1, "--quiet")
        for question, expected in opposite.items():
            found = answer(out, question)
            assert found == expected, f"{name}: {question}: {found} instead of {expected}"


def test_adapters_on_quantized_weights(work):
    """A frozen base stays as it is stored: training starts at the loss of the quantized model."""
    ids = json.loads((work / "one.jsonl").read_text())["ids"]
    for kind in ("Q8_0", "Q4_0"):
        base = work / f"{kind}.gguf"
        subprocess.run([PROGRAM, "quantize", work / "qwen-base", base, "--type", kind], check=True,
                       capture_output=True)
        before = sum(nll(base, ids)) / 39
        adapter = work / f"{kind}-adapter"
        train("--model", base, "--lora", "--rank", 4, "--data", work / "one.jsonl", "--out",
              adapter, "--steps", 20, "--lr", "0.01", "--batch-tokens", 100, "--threads", 1,
              "--quiet")
        found = losses(adapter)
        assert abs(found[0][1] - before) < 0.02, f"{kind}: {found[0]} instead of {before}"
        assert found[-1][1] < before - 0.5, f"{kind}: nothing was learned: {found[-1]}"


def test_foreign_adapters_are_refused(work):
    run = subprocess.run([PROGRAM, "merge", work / "qwen-base", work / "phi-adapter", "--out",
                          work / "wrong"], capture_output=True, text=True)
    assert run.returncode == 1 and "another model" in run.stderr, run.stderr
    config = work / "phi-adapter/adapter_config.json"
    changed = json.loads(config.read_text()) | {"use_dora": True}
    config.write_text(json.dumps(changed))
    run = subprocess.run([PROGRAM, "merge", work / "phi-base", work / "phi-adapter", "--out",
                          work / "wrong"], capture_output=True, text=True)
    assert run.returncode == 1 and "use_dora" in run.stderr, run.stderr
    run = train("--model", work / "qwen-base", "--lora", "--targets", "qkv_proj", "--data",
                work / "one.jsonl", "--out", work / "wrong", "--steps", 1, check=False)
    assert run.returncode == 1 and "q_proj" in run.stderr, run.stderr


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        data, held_out = work / "data.jsonl", work / "eval.jsonl"
        write_data(data, 200, 3)
        write_data(held_out, 20, 4)
        model = make_model(work / "model", QWEN)
        if UNDER_TSAN:
            return test_threads(work, model, data)
        test_resume(work, model, data, held_out)
        test_other_settings_do_not_resume(work, model, data)
        test_threads(work, model, data)
        test_bf16(work, model, data)
        test_what_is_left_out_is_counted(work, model)
        test_adapters(work, "qwen", QWEN, ["q_proj", "k_proj", "v_proj", "o_proj"])
        test_adapters(work, "phi", PHI, ["qkv_proj", "o_proj"])
        test_chats_are_learned(work)
        test_adapters_on_quantized_weights(work)
        test_foreign_adapters_are_refused(work)


if __name__ == "__main__":
    sys.exit(main())
