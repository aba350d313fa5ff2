#!/usr/bin/env python3
"""Both families in every configuration that their releases use, as tiny random checkpoints,
against the float64 reference: logits, NLL, and greedy tokens (past longrope's border too)."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

PROGRAM = os.environ["TANDEM_PROGRAM"]
REFERENCE = pathlib.Path(os.environ["TANDEM_SHARED"]) / "reference" / "reference.py"
VOCAB = 97

QWEN = dict(model_type="qwen2", architectures=["Qwen2ForCausalLM"], rope_theta=1e6,
            rms_norm_eps=1e-6, use_sliding_window=False, max_window_layers=2)
PHI = dict(model_type="phi3", architectures=["Phi3ForCausalLM"], rope_theta=1e4,
           rms_norm_eps=1e-5, sliding_window=None, original_max_position_embeddings=512)


def longrope(pairs, original, **extra):
    return dict(rope_scaling=dict(type="longrope",
                                  short_factor=[1 + 0.03 * i for i in range(pairs)],
                                  long_factor=[1 + 0.4 * i for i in range(pairs)]),
                original_max_position_embeddings=original, **extra)


# name: (settings, prompt length, tokens to generate)
CASES = {
    "qwen-7-heads-per-kv": (QWEN | dict(hidden_size=112, num_attention_heads=14,
                                        num_key_value_heads=2, intermediate_size=72), 20, 8),
    "qwen-odd-sizes": (QWEN | dict(hidden_size=66, num_attention_heads=3, num_key_value_heads=3,
                                   intermediate_size=91, tie_word_embeddings=True), 9, 8),
    "qwen-window-from-layer-1": (QWEN | dict(hidden_size=64, num_attention_heads=4,
                                             num_key_value_heads=2, intermediate_size=96,
                                             use_sliding_window=True, sliding_window=5,
                                             max_window_layers=1), 150, 4),
    "qwen-explicit-head-dim": (QWEN | dict(hidden_size=48, num_attention_heads=4, head_dim=20,
                                           num_key_value_heads=1, intermediate_size=64), 17, 6),
    "phi-medium-gqa": (PHI | dict(hidden_size=80, num_attention_heads=10, num_key_value_heads=5,
                                  intermediate_size=112), 22, 6),
    "phi-mini-window": (PHI | dict(hidden_size=96, num_attention_heads=2, num_key_value_heads=2,
                                   intermediate_size=128, sliding_window=63), 140, 4),
    "phi-4-mini": (PHI | dict(hidden_size=96, num_attention_heads=6, num_key_value_heads=2,
                              intermediate_size=128, partial_rotary_factor=0.75,
                              tie_word_embeddings=True) | longrope(6, 40), 30, 4),
    "phi-longrope-grows-past-the-border": (PHI | dict(hidden_size=64, num_attention_heads=4,
                                                      num_key_value_heads=4,
                                                      intermediate_size=96)
                                           | longrope(8, 24), 20, 10),
    "phi-longrope-several-passes": (PHI | dict(hidden_size=64, num_attention_heads=4,
                                               num_key_value_heads=4, intermediate_size=96)
                                    | longrope(8, 100), 200, 3),
    "qwen-yarn": (QWEN | dict(hidden_size=64, num_attention_heads=2, num_key_value_heads=2,
                              intermediate_size=96,
                              rope_scaling=dict(rope_type="yarn", factor=4.0,
                                                original_max_position_embeddings=32)), 70, 4),
    "qwen-linear": (QWEN | dict(hidden_size=64, num_attention_heads=2, num_key_value_heads=2,
                                intermediate_size=96,
                                rope_scaling=dict(rope_type="linear", factor=2.0)), 30, 4),
}


def tensors_of(config, rng):
    dim, ffn = config["hidden_size"], config["intermediate_size"]
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    head = config.get("head_dim") or dim // heads

    def matrix(rows, cols):
        return (rng.standard_normal((rows, cols)) * 1.5 / np.sqrt(cols)).astype(np.float32)

    def vector(n, around):
        return (around + 0.2 * rng.standard_normal(n)).astype(np.float32)

    tensors = {"model.embed_tokens.weight": matrix(VOCAB, dim) * np.float32(np.sqrt(dim)),
               "model.norm.weight": vector(dim, 1)}
    if not config.get("tie_word_embeddings"):
        tensors["lm_head.weight"] = matrix(VOCAB, dim)
    for layer in range(config["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        tensors[p + "input_layernorm.weight"] = vector(dim, 1)
        tensors[p + "post_attention_layernorm.weight"] = vector(dim, 1)
        tensors[p + "self_attn.o_proj.weight"] = matrix(dim, heads * head)
        tensors[p + "mlp.down_proj.weight"] = matrix(dim, ffn)
        if config["model_type"] == "phi3":
            tensors[p + "self_attn.qkv_proj.weight"] = matrix((heads + 2 * kv) * head, dim)
            tensors[p + "mlp.gate_up_proj.weight"] = matrix(2 * ffn, dim)
            continue
        for name, rows in (("q", heads * head), ("k", kv * head), ("v", kv * head)):
            tensors[p + f"self_attn.{name}_proj.weight"] = matrix(rows, dim)
            tensors[p + f"self_attn.{name}_proj.bias"] = vector(rows, 0)
        tensors[p + "mlp.gate_proj.weight"] = matrix(ffn, dim)
        tensors[p + "mlp.up_proj.weight"] = matrix(ffn, dim)
    return tensors


def write_checkpoint(folder, config, tensors):
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        header[name] = dict(dtype="F32", shape=list(tensor.shape),
                            data_offsets=[offset, offset + tensor.nbytes])
        blobs.append(tensor.tobytes())
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text
                                               + b"".join(blobs))


def tandem(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tandem {' '.join(map(str, arguments))}: {done.stderr}")
    return json.loads(done.stdout)


def check(reference, folder, name, settings, n_ids, n_greedy):
    rng = np.random.default_rng(sum(map(ord, name)))
    config = dict(num_hidden_layers=3, vocab_size=VOCAB, max_position_embeddings=512,
                  hidden_act="silu", bos_token_id=0, eos_token_id=1) | settings
    tensors = tensors_of(config, rng)
    write_checkpoint(folder, config, tensors)
    ids = [int(i) for i in rng.integers(2, VOCAB, n_ids)]
    wide = {k: v.astype(np.float64) for k, v in tensors.items()}
    logits = reference.forward(config, wide, ids)
    text = ",".join(map(str, ids))
    scores = tandem("logits", folder, "--ids", text)
    error = max(np.abs(np.array(scores["logits_first"]) - logits[0]).max(),
                np.abs(np.array(scores["logits_last"]) - logits[-1]).max())
    sequence = list(ids)
    for _ in range(n_greedy):
        sequence.append(int(reference.forward(config, wide, sequence)[-1].argmax()))
    greedy = tandem("generate", folder, "--ids", text, "--max-tokens", n_greedy)["ids"]
    good = error <= 2e-3 and greedy == sequence[n_ids:]
    print(f"{'ok  ' if good else 'FAIL'} {name}: logits {error:.1e}, greedy "
          f"{'equal' if greedy == sequence[n_ids:] else f'{greedy} for {sequence[n_ids:]}'}")
    return good


def main():
    if not REFERENCE.is_file():
        print(f"skipped: {REFERENCE} is not here")
        return 77
    spec = importlib.util.spec_from_file_location("reference", REFERENCE)
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    good = True
    for name, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            good &= check(reference, pathlib.Path(folder), name, *case)
    return 0 if good else 1


sys.exit(main())
