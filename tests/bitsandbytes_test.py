"""Checkpoints as bitsandbytes and transformers store them: a NumPy decoder of NF4, FP4 (with and
without double quantization) and LLM.int8() is the oracle. A quantized folder gives the very logits
of a folder that holds the decoded values in F32; what is missing or does not fit is refused; and
what `tandem quantize` writes decodes, bit for bit, to what the program computes with."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is missing")
    sys.exit(77)

PROGRAM = os.environ["TANDEM_PROGRAM"]
IDS = "1,5,9,200,31,7,7,8,99,150"
NF4 = np.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1.0], np.float32)
FP4 = (np.array([0, 0.0625, 8, 12, 4, 6, 2, 3, -0.0, -0.0625, -8, -12, -4, -6, -2, -3],
                np.float32) / np.float32(12))
TYPES = {"F32": np.float32, "F16": np.float16, "U8": np.uint8, "I8": np.int8, "BF16": np.uint16}


def dynamic_map():
    """The 8-bit dynamic type: seven decades of linear means, a sign, zero and one."""
    values = [0.0, 1.0]
    for i in range(7):
        edges = np.linspace(0.1, 1, 2**i + 1, dtype=np.float32)
        means = (edges[:-1] + edges[1:]) / np.float32(2) * np.float32(10.0 ** (i - 6))
        values += means.tolist() + (-means).tolist()
    return np.array(sorted(values), np.float32)


# --- Files ---

def write_safetensors(path, tensors):
    header, at, data = {}, 0, []
    for name, (dtype, array) in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data))


def read_safetensors(path):
    blob = path.read_bytes()
    size = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:8 + size])
    return {name: (info["dtype"], np.frombuffer(
        blob[8 + size + info["data_offsets"][0]:8 + size + info["data_offsets"][1]],
        TYPES[info["dtype"]]).reshape(info["shape"]))
        for name, info in header.items() if name != "__metadata__"}


def shapes(config):
    dim, ffn = config["hidden_size"], config["intermediate_size"]
    head = dim // config["num_attention_heads"]
    kv = head * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (config["vocab_size"], dim)
    yield "lm_head.weight", (config["vocab_size"], dim)
    yield "model.norm.weight", (dim,)
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name, rows, cols in (("self_attn.q", dim, dim), ("self_attn.k", kv, dim),
                                 ("self_attn.v", kv, dim), ("self_attn.o", dim, dim),
                                 ("mlp.gate", ffn, dim), ("mlp.up", ffn, dim),
                                 ("mlp.down", dim, ffn)):
            yield f"{layer}{name}_proj.weight", (rows, cols)
            if name in ("self_attn.q", "self_attn.k", "self_attn.v"):
                yield f"{layer}{name}_proj.bias", (rows,)
        yield f"{layer}input_layernorm.weight", (dim,)
        yield f"{layer}post_attention_layernorm.weight", (dim,)


def make_config(dim, ffn):
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
            "hidden_size": dim, "intermediate_size": ffn, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256,
            "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "tie_word_embeddings": False, "torch_dtype": "float32"}


def make_weights(config, seed):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) * np.float32(0.08)
            + np.float32(len(shape) == 1) for name, shape in shapes(config)}


def is_linear(name):
    return name.endswith("_proj.weight")


def write_folder(path, config, tensors, quantization=None):
    path.mkdir()
    full = dict(config, **({"quantization_config": quantization} if quantization else {}))
    (path / "config.json").write_text(json.dumps(full))
    write_safetensors(path / "model.safetensors", tensors)
    return path


# --- The formats ---

def nearest(values, x):
    order = np.argsort(values, kind="stable")
    middles = (values[order][:-1] + values[order][1:]) / 2
    return order[np.searchsorted(middles, x)].astype(np.uint8)


def four_bit(name, weight, kind, blocksize, nested):
    """The tensors of one weight, and the values that they stand for."""
    values = NF4 if kind == "nf4" else FP4
    flat = weight.ravel()
    n, n_blocks = flat.size, -(-flat.size // blocksize)
    padded = np.zeros(n_blocks * blocksize, np.float32)
    padded[:n] = flat
    blocks = padded.reshape(-1, blocksize)
    absmax = np.abs(blocks).max(1)
    codes = nearest(values, (blocks / absmax[:, None]).ravel())[:n]
    even = np.append(codes, np.zeros(n % 2, np.uint8))
    state = {"quant_type": kind, "blocksize": blocksize, "dtype": "bfloat16",
             "shape": list(weight.shape)}
    out = {name: ("U8", (even[::2] << 4 | even[1::2]).astype(np.uint8)[:, None]),
           f"{name}.quant_map": ("F32", values)}
    if nested:
        table, offset = dynamic_map(), absmax.mean(dtype=np.float32)
        padded = np.zeros(-(-n_blocks // 256) * 256, np.float32)
        padded[:n_blocks] = absmax - offset
        groups = padded.reshape(-1, 256)
        largest = np.abs(groups).max(1)
        inner = nearest(table, (groups / largest[:, None]).ravel())[:n_blocks]
        absmax = table[inner] * np.repeat(largest, 256)[:n_blocks] + offset
        state.update(nested_blocksize=256, nested_dtype="float32", nested_offset=float(offset))
        out[f"{name}.absmax"] = ("U8", inner)
        out[f"{name}.nested_absmax"] = ("F32", largest)
        out[f"{name}.nested_quant_map"] = ("F32", table)
    else:
        out[f"{name}.absmax"] = ("F32", absmax)
    blob = np.frombuffer(json.dumps(state).encode(), np.uint8)
    out[f"{name}.quant_state.bitsandbytes__{kind}"] = ("U8", blob)
    return out, (values[codes] * np.repeat(absmax, blocksize)[:n]).reshape(weight.shape)


def decode_int8(codes, scb):
    return codes.astype(np.float32) * scb[:, None] * np.float32(7.874015718698502e-3)


def eight_bit(name, weight):
    scb = np.abs(weight).max(1)
    codes = np.rint(weight * (np.float32(127) / scb)[:, None]).astype(np.int8)
    module = name.removesuffix(".weight")
    return ({name: ("I8", codes), f"{module}.SCB": ("F32", scb),
             f"{module}.weight_format": ("U8", np.array(0, np.uint8))}, decode_int8(codes, scb))


def settings(kind, nested=False):
    return {"quant_method": "bitsandbytes", "load_in_4bit": kind != "int8",
            "load_in_8bit": kind == "int8", "bnb_4bit_quant_type": kind if kind != "int8" else "fp4",
            "bnb_4bit_use_double_quant": nested, "bnb_4bit_compute_dtype": "bfloat16",
            "llm_int8_threshold": 6.0, "llm_int8_skip_modules": None}


def quantize_folder(path, config, weights, kind, blocksize=64, nested=False):
    tensors, decoded = {}, {}
    for name, weight in weights.items():
        parts, values = {name: ("F32", weight)}, weight
        if is_linear(name):
            parts, values = (eight_bit(name, weight) if kind == "int8"
                             else four_bit(name, weight, kind, blocksize, nested))
        tensors.update(parts)
        decoded[name] = ("F32", values.astype(np.float32))
    write_folder(path, config, tensors, settings(kind, nested))
    return decoded


# --- Checks ---

def tandem(*words, isa=None):
    environment = dict(os.environ, **({"TANDEM_ISA": isa} if isa else {}))
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=300,
                          env=environment)


def logits(model, *more, isa=None):
    run = tandem("logits", model, "--ids", IDS, *more, isa=isa)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def isas():
    run = tandem("--version", isa="none-such")
    return ["scalar", None] if "avx2" not in run.stdout + run.stderr else ["scalar", "avx2", None]


def check_reading(work):
    cases = [("nf4", 64, False), ("nf4", 64, True), ("nf4", 128, True), ("nf4", 32, False),
             ("fp4", 64, False), ("int8", 0, False)]
    for dim, ffn in ((128, 192), (96, 176)):  # rows that are whole blocks, and others
        config = make_config(dim, ffn)
        weights = make_weights(config, dim)
        for kind, blocksize, nested in cases:
            label = f"{kind}-{blocksize}-{nested}-{dim}"
            decoded = quantize_folder(work / label, config, weights, kind, blocksize, nested)
            plain = write_folder(work / f"{label}-plain", config, decoded)
            for isa in isas():
                assert logits(work / label, isa=isa) == logits(plain, isa=isa), (label, isa)
            assert logits(work / label, "--threads", 1) == logits(work / label), label


def damage(folder, change):
    tensors = read_safetensors(folder / "model.safetensors")
    change(tensors)
    write_safetensors(folder / "model.safetensors", tensors)


def refused(work, source, change, *expected):
    broken = work / "broken"
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(source, broken)
    change(broken)
    run = tandem("inspect", broken)
    assert run.returncode == 1, (expected, run.stdout)
    for part in expected:
        assert part in run.stderr, (part, run.stderr)


def check_refusals(work):
    weight = "model.layers.0.mlp.up_proj.weight"
    state = f"{weight}.quant_state.bitsandbytes__nf4"
    nested, int8 = work / "nf4-64-True-128", work / "int8-0-False-128"

    def without(name):
        return lambda folder: damage(folder, lambda t: t.pop(name))

    def shorter(name):
        return lambda folder: damage(folder, lambda t: t.update({name: (t[name][0],
                                                                        t[name][1][:-1])}))

    def other_state(**fields):
        def change(tensors):
            old = json.loads(tensors[state][1].tobytes())
            old.update(fields)
            tensors[state] = ("U8", np.frombuffer(json.dumps(old).encode(), np.uint8))
        return lambda folder: damage(folder, change)

    def other_config(**fields):
        def change(folder):
            config = json.loads((folder / "config.json").read_text())
            config["quantization_config"].update(fields)
            (folder / "config.json").write_text(json.dumps(config))
        return change

    for end in (".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map"):
        refused(work, nested, without(weight + end), weight + end, "missing")
        refused(work, nested, shorter(weight + end), weight + end, "elements")
    refused(work, nested, without(state), weight, "quant_state")
    refused(work, nested, other_state(shape=[192, 127]), weight, "127")
    refused(work, nested, other_state(shape=[2**40, 2**40]), weight)
    refused(work, nested, other_state(shape=[-1, 3]), "shape")
    refused(work, nested, other_state(blocksize=0), "blocksize")
    refused(work, nested, other_state(quant_type="af4"), "quant_type")
    refused(work, nested, other_state(nested_offset="x"), "nested_offset")
    refused(work, nested, other_config(quant_method="gptq"), "gptq", "bitsandbytes")
    refused(work, nested, other_config(load_in_4bit=False), "load_in_4bit")
    module = weight.removesuffix(".weight")
    refused(work, int8, without(f"{module}.SCB"), weight, "SCB")
    refused(work, int8, shorter(f"{module}.SCB"), "SCB", "elements")
    refused(work, int8, lambda folder: damage(folder, lambda t: t.update(
        {f"{module}.weight_format": ("U8", np.array(2, np.uint8))})), "weight_format")


# --- Writing ---

def decoded_folder(folder):
    """The F32 values of every weight of a folder, by this file's decoder; and its JSON."""
    tensors = read_safetensors(folder / "model.safetensors")
    plain, states = {}, []
    for name, (dtype, array) in tensors.items():
        module = name.removesuffix(".weight")
        kind = next((k for k in ("nf4", "fp4")
                     if f"{name}.quant_state.bitsandbytes__{k}" in tensors), None)
        if kind:
            state = json.loads(tensors[f"{name}.quant_state.bitsandbytes__{kind}"][1].tobytes())
            plain[name] = ("F32", decode_four_bit(tensors, name, state))
            states.append(state)
        elif f"{module}.SCB" in tensors:
            assert tensors[f"{module}.weight_format"][1].shape == ()
            plain[name] = ("F32", decode_int8(array, tensors[f"{module}.SCB"][1]))
        elif dtype in ("F32", "F16", "BF16") and not any(
                part in name for part in (".weight.", ".SCB")):
            plain[name] = (dtype, array)
    return plain, states


def decode_four_bit(tensors, name, state):
    packed, values = tensors[name][1].ravel(), tensors[f"{name}.quant_map"][1]
    assert np.array_equal(values, NF4 if state["quant_type"] == "nf4" else FP4)
    codes = np.stack([packed >> 4, packed & 15], 1).ravel()
    scales = tensors[f"{name}.absmax"][1]
    if "nested_blocksize" in state:
        table = tensors[f"{name}.nested_quant_map"][1]
        assert np.abs(table - dynamic_map()).max() < 1e-7
        nested = np.repeat(tensors[f"{name}.nested_absmax"][1], state["nested_blocksize"])
        scales = table[scales] * nested[:scales.size] + np.float32(state["nested_offset"])
    n = state["shape"][0] * state["shape"][1]
    return (values[codes[:n]] * np.repeat(scales, state["blocksize"])[:n]).reshape(state["shape"])


def check_writing(work):
    config = make_config(128, 176)  # down_proj has rows that no blocks fit: they stay floats
    weights = make_weights(config, 9)
    source = write_folder(work / "source", config, {n: ("F32", w) for n, w in weights.items()})
    (source / "generation_config.json").write_text('{"eos_token_id": 3}')
    bounds = {"nf4": 0.10, "nf4-dq": 0.10, "fp4": 0.14, "int8": 0.012}
    for kind, bound in bounds.items():
        out = work / f"written-{kind}"
        run = tandem("quantize", source, out, "--type", kind, "--json")
        assert run.returncode == 0, run.stderr
        assert json.loads(run.stdout)["type"] == kind.upper()
        plain, states = decoded_folder(out)
        assert set(plain) == set(weights)
        assert len(states) == (0 if kind == "int8" else 12)
        for name, (_, values) in plain.items():
            error = np.linalg.norm(values - weights[name]) / np.linalg.norm(weights[name])
            fits = is_linear(name) and "down_proj" not in name
            assert error < bound if fits else error == 0, (name, error)
        quantization = json.loads((out / "config.json").read_text())["quantization_config"]
        assert quantization["quant_method"] == "bitsandbytes"
        assert quantization["bnb_4bit_use_double_quant"] == (kind == "nf4-dq")
        assert quantization["load_in_8bit"] == (kind == "int8")
        assert "model.layers.1.mlp.down_proj" in quantization["llm_int8_skip_modules"]
        assert (out / "generation_config.json").exists()
        reference = write_folder(work / f"decoded-{kind}", config, plain)
        assert logits(out) == logits(reference) == logits(source, "--quantize", kind), kind
        assert not list(work.glob("*.partial*"))
    run = tandem("quantize", source, work / "written-nf4", "--type", "nf4")
    assert run.returncode == 1 and "remove it" in run.stderr
    again = work / "again.gguf"
    assert tandem("quantize", work / "written-nf4", again, "--type", "f32").returncode == 0
    assert logits(again) == logits(work / "written-nf4")


def file_type(path):
    run = tandem("inspect", path)
    return next(int(line.split()[-1]) for line in run.stdout.splitlines()
                if "general.file_type" in line)


def check_types(work):
    """Quantizing while loading is quantizing a file and loading that; GGUF's number of the type."""
    source = work / "source"
    numbers = {"f16": 1, "q4_0": 2, "q8_0": 7, "q4_k_m": 15, "q5_k_m": 17, "q6_k": 18, "bf16": 32}
    for kind, number in numbers.items():
        out = work / f"{kind}.gguf"
        assert tandem("quantize", source, out, "--type", kind).returncode == 0
        assert file_type(out) == number, kind
        for isa in isas():
            assert logits(out, isa=isa) == logits(source, "--quantize", kind, isa=isa), kind
        run = tandem("logits", out, "--ids", IDS, "--quantize", "nf4")
        assert (run.returncode == 1) == kind.startswith("q"), (kind, run.stderr)
    assert logits(source, "--quantize", "q4_0") != logits(source)
    words = ("--ids", IDS, "--max-tokens", 12)
    answers = [json.loads(tandem("generate", model, *words, *more).stdout)["ids"]
               for model, more in (
                   (work / "q4_0.gguf", ()), (source, ("--quantize", "q4_0")))]
    assert answers[0] == answers[1] and len(answers[0]) == 12
    for command in (("quantize", source, work / "x.gguf", "--type", "q9"),
                    ("logits", source, "--ids", "1", "--quantize", "q9"),
                    ("quantize", source, work / "x.gguf", "--type", "nf4"),
                    ("quantize", source, work / "x", "--type", "q4_0"),
                    ("quantize", source, work / "x")):
        run = tandem(*command)
        assert run.returncode == 2, run.stderr
    assert "Q4_K_M" in tandem("quantize", source, work / "x.gguf", "--type", "q9").stderr


# --- From GGUF files, which have neither config.json nor tokenizer.json ---

def check_configurations(work, golden):
    """YaRN, longrope, windows, tied embeddings: the folder's config.json says what the file said."""
    for folder in sorted(golden.iterdir()):
        gguf, out = work / f"{folder.name}.gguf", work / f"{folder.name}-folder"
        assert tandem("quantize", folder, gguf, "--type", "f16").returncode == 0
        run = tandem("quantize", gguf, out, "--type", "nf4-dq")
        assert run.returncode == 0, run.stderr
        assert logits(out) == logits(gguf, "--quantize", "nf4-dq"), folder.name


def check_vocabularies(work, tokenizers):
    for folder in sorted(tokenizers.iterdir()):
        vectors = folder / "vectors.jsonl"
        if not vectors.exists():
            continue
        config = make_config(64, 64)
        config.update(vocab_size=153000, tie_word_embeddings=True, num_hidden_layers=1)
        weights = make_weights(config, 3)
        weights.pop("lm_head.weight")
        tensors = {n: ("F16", w.astype(np.float16)) for n, w in weights.items()}
        source = write_folder(work / f"{folder.name}-source", config, tensors)
        for document in folder.iterdir():
            if document.name.startswith(("tokenizer", "vocab.json", "merges", "special", "added")):
                shutil.copy(document, source)
        gguf, out = work / f"{folder.name}.gguf", work / f"{folder.name}-folder"
        assert tandem("quantize", source, gguf, "--type", "f16").returncode == 0
        run = tandem("quantize", gguf, out, "--type", "int8")
        assert run.returncode == 0, run.stderr
        texts = "".join(json.dumps({"text": json.loads(line)["text"]}) + "\n"
                        for line in vectors.read_text().split("\n") if line)
        ids = [subprocess.run([PROGRAM, "tokenize", str(model)], input=texts, text=True,
                              capture_output=True, check=True).stdout for model in (source, out)]
        assert ids[0] == ids[1] and ids[0].count("\n") > 100, folder.name
        shutil.rmtree(source)


def check_gguf_input(work):
    shared = pathlib.Path(os.environ.get("TANDEM_SHARED", "/nowhere"))
    if not (shared / "golden").is_dir():
        print("not checked: folders from GGUF files, for there is no", shared / "golden")
        return
    check_configurations(work, shared / "golden")
    check_vocabularies(work, shared / "tokenizers")


def main():
    assert dynamic_map().size == 256
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        check_reading(work)
        check_refusals(work)
        check_writing(work)
        check_types(work)
        check_gguf_input(work)
    print("bitsandbytes: reading, writing and refusals agree with the NumPy decoder")
    return 0


if __name__ == "__main__":
    sys.exit(main())
