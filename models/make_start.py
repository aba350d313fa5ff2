#!/usr/bin/env python3
"""Makes the weights that training starts from: random ones, and in them a circuit that copies.

    make_start.py SHAPE_DIR OUT_DIR --seed 1

Models of this size find out late how to find a place in the prompt and go on there, and much of
what they are asked needs nothing else. Attention does it with two heads, one above the other: one
looks at the token before, the other looks for places where that is the token at hand and gives
what stands there. Here the first three layers start with such heads; everything can be learned
away. Training goes on from OUT_DIR as from any model.
"""
import argparse
import json
import pathlib
import shutil
import struct

import numpy as np

DEVIATION = 0.02
CONSTANT = 0.1  # what every token has in dimension 0: attention to positions alone reads it
SHARPNESS = 5.5  # of the look at the token before
COPIERS = (1, 2)  # layers with heads that copy


class Start:
    def __init__(self, config, seed):
        self.rng = np.random.default_rng(seed)
        self.phi = config["model_type"] == "phi3"
        self.dim, self.ffn = config["hidden_size"], config["intermediate_size"]
        self.layers, self.vocab = config["num_hidden_layers"], config["vocab_size"]
        self.heads = config["num_attention_heads"]
        self.kv_heads = config["num_key_value_heads"]
        self.head_dim = self.dim // self.heads
        self.angles = config["rope_theta"] ** (-np.arange(self.head_dim // 2) * 2 / self.head_dim)
        self.embedding = self.normal(self.vocab, self.dim)
        self.embedding[:, 0] = CONSTANT
        # Dimension 0 behind the norm.
        self.constant = CONSTANT / np.sqrt(np.mean(self.embedding ** 2))

    def normal(self, *shape, deviation=DEVIATION):
        return self.rng.normal(0, deviation, shape)

    def layer(self):
        kv = self.kv_heads * self.head_dim
        quiet = DEVIATION * (2 * self.layers) ** -0.5  # of what writes into the residual stream
        return {"q": self.normal(self.dim, self.dim), "k": self.normal(kv, self.dim),
                "v": self.normal(kv, self.dim), "o": self.normal(self.dim, self.dim, deviation=quiet),
                "gate": self.normal(self.ffn, self.dim), "up": self.normal(self.ffn, self.dim),
                "down": self.normal(self.dim, self.ffn, deviation=quiet)}

    def look_back(self, w):
        """Head 0 attends to the token before, whatever it is, and hands on its embedding."""
        n, half = self.head_dim, self.head_dim // 2
        fast = np.flatnonzero(self.angles > 0.1)
        w["q"][:n], w["k"][:n] = 0, 0
        w["q"][fast, 0] = SHARPNESS / self.constant
        w["k"][fast, 0] = SHARPNESS * np.cos(self.angles[fast]) / self.constant
        w["k"][fast + half, 0] = SHARPNESS * np.sin(self.angles[fast]) / self.constant
        w["v"][:n] = self.normal(n, self.dim, deviation=self.dim ** -0.5)
        w["v"][:n, 0] = 0
        w["o"][:, :n] = self.normal(self.dim, n, deviation=DEVIATION * n ** -0.5)
        return w["v"][:n].copy(), w["o"][:, :n].copy()

    def copy(self, w, seen, written):
        """Head 0 attends to places behind tokens like the one at hand and gives what is there."""
        n, half = self.head_dim, self.head_dim // 2
        slow = np.flatnonzero(self.angles < 0.0133)  # hardly turned over a prompt's length
        rows = np.concatenate([slow, slow + half])
        w["q"][:n], w["k"][:n] = 0, 0
        w["q"][rows] = 4 * seen[rows]
        w["k"][rows] = written.T[rows] * (DEVIATION * 1.5) / np.mean(np.sum(written ** 2, axis=0))
        value = self.normal(n, self.dim, deviation=self.dim ** -0.5)
        value[:, 0] = 0
        w["v"][:n] = value
        w["o"][:, :n] = 0.4 * value.T

    def tensors(self):
        layers = [self.layer() for _ in range(self.layers)]
        seen, written = self.look_back(layers[0])
        for i in COPIERS:
            self.copy(layers[i], seen, written)
        yield "model.embed_tokens.weight", self.embedding
        yield "model.norm.weight", np.ones(self.dim)
        for i, w in enumerate(layers):
            yield from ((f"model.layers.{i}.{name}", value) for name, value in self.named(w))

    def named(self, w):
        yield "input_layernorm.weight", np.ones(self.dim)
        yield "post_attention_layernorm.weight", np.ones(self.dim)
        yield "self_attn.o_proj.weight", w["o"]
        yield "mlp.down_proj.weight", w["down"]
        if self.phi:
            yield "self_attn.qkv_proj.weight", np.concatenate([w["q"], w["k"], w["v"]])
            yield "mlp.gate_up_proj.weight", np.concatenate([w["gate"], w["up"]])
            return
        for name in "qkv":
            yield f"self_attn.{name}_proj.weight", w[name]
            yield f"self_attn.{name}_proj.bias", np.zeros(len(w[name]))
        yield "mlp.gate_proj.weight", w["gate"]
        yield "mlp.up_proj.weight", w["up"]


def write_safetensors(path, tensors):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, value in tensors:
        raw = value.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shutil.copytree(args.shape, args.out, dirs_exist_ok=True)
    config = json.loads((args.shape / "config.json").read_text())
    write_safetensors(args.out / "model.safetensors", Start(config, args.seed).tensors())


main()
