"""Gradients and ten training steps against an independent float64 reference.

The forward and backward pass below are written in NumPy from the models' definitions and share
nothing with the trainer. For every checkpoint of the golden folder (both families; GQA, tied
embeddings, sliding window, yarn, longrope with short and long sequences):

  * the trainer's network in double (tests/train_oracle.c): every gradient of every tensor, and
    the losses before ten updates with AdamW, to 1e-8;
  * `tandem train` itself, in float: the logged losses of ten steps, to 1e-3.
"""
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("python3-numpy is not installed: skipped")
    sys.exit(77)

STEPS = 10


def load_tensors(folder):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        blob = path.read_bytes()
        size = int.from_bytes(blob[:8], "little")
        for name, info in json.loads(blob[8:8 + size]).items():
            if name == "__metadata__":
                continue
            begin, end = info["data_offsets"]
            raw = blob[8 + size + begin:8 + size + end]
            if info["dtype"] == "BF16":
                values = (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
            else:
                values = np.frombuffer(raw, {"F32": "<f4", "F16": "<f2"}[info["dtype"]])
            tensors[name] = values.astype(np.float64).reshape(info["shape"])
    return tensors


def rotary(config, length):
    """inv_freq and the factor of cosines and sines for a sequence of `length` tokens."""
    head_dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    dim = int(head_dim * config.get("partial_rotary_factor", 1.0))
    base = config["rope_theta"]
    freq = np.array([base ** (-2 * i / dim) for i in range(dim // 2)])
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind == "default":
        return freq, 1.0
    original = (config.get("original_max_position_embeddings")
                or scaling.get("original_max_position_embeddings"))
    if kind == "longrope":
        ratio = config["max_position_embeddings"] / original
        table = scaling["long_factor"] if length > original else scaling["short_factor"]
        factor = math.sqrt(1 + math.log(ratio) / math.log(original)) if ratio > 1 else 1.0
        return freq / np.array(table), factor
    assert kind == "yarn"
    turns = lambda n: dim * math.log(original / (n * 2 * math.pi)) / (2 * math.log(base))
    low, high = max(math.floor(turns(32)), 0), min(math.ceil(turns(1)), dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
    return freq * (1 - ramp) + freq / scaling["factor"] * ramp, 0.1 * math.log(scaling["factor"]) + 1


class Model:
    """One sequence at a time: forward() keeps what backward() needs in a tape of closures."""

    def __init__(self, config, tensors):
        self.config, self.t = config, tensors
        self.grad = {name: np.zeros_like(value) for name, value in tensors.items()}

    def linear(self, x, name, bias=None):
        y = x @ self.t[name].T
        if bias:
            y = y + self.t[bias]

        def back(dy):
            self.grad[name] += dy.T @ x
            if bias:
                self.grad[bias] += dy.sum(0)
            return dy @ self.t[name]
        return y, back

    def norm(self, x, name):
        r = np.sqrt((x ** 2).mean(-1, keepdims=True) + self.config["rms_norm_eps"])
        unit = x / r

        def back(dy):
            self.grad[name] += (dy * unit).sum(0)
            dunit = dy * self.t[name]
            return (dunit - unit * (dunit * unit).mean(-1, keepdims=True)) / r
        return unit * self.t[name], back

    def rope(self, x, cos, sin):
        half = cos.shape[-1]

        def turn(v, s):
            a, b, rest = v[..., :half], v[..., half:2 * half], v[..., 2 * half:]
            return np.concatenate([a * cos - s * b * sin, b * cos + s * a * sin, rest], -1)
        return turn(x, 1.0), lambda dy: turn(dy, -1.0)

    def attention(self, h, prefix, layer):
        c, n = self.config, len(h)
        heads, groups = c["num_attention_heads"], c.get("num_key_value_heads")
        dim = c.get("head_dim") or c["hidden_size"] // heads
        a = prefix + "self_attn."
        if c["model_type"] == "phi3":
            qkv, back_qkv = self.linear(h, a + "qkv_proj.weight")
            q, k, v = np.split(qkv, [heads * dim, (heads + groups) * dim], 1)
        else:
            (q, back_q), (k, back_k), (v, back_v) = (
                self.linear(h, f"{a}{m}_proj.weight", f"{a}{m}_proj.bias") for m in "qkv")
        freq, factor = rotary(c, n)
        angle = np.arange(n)[:, None] * freq
        cos, sin = (np.cos(angle) * factor)[:, None], (np.sin(angle) * factor)[:, None]
        q, back_rope_q = self.rope(q.reshape(n, heads, dim), cos, sin)
        k, back_rope_k = self.rope(k.reshape(n, groups, dim), cos, sin)
        v = v.reshape(n, groups, dim)
        window = c.get("sliding_window")
        if c["model_type"] != "phi3" and not (
                c.get("use_sliding_window") and layer >= c.get("max_window_layers", 0)):
            window = None
        i, j = np.arange(n)[:, None], np.arange(n)[None]
        seen = (j <= i) & ((j > i - window) if window else True)
        kv_of = np.arange(heads) // (heads // groups)
        score = np.einsum("ihd,jhd->hij", q, k[:, kv_of]) / math.sqrt(dim)
        score = np.where(seen, score, -np.inf)
        p = np.exp(score - score.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        out = np.einsum("hij,jhd->ihd", p, v[:, kv_of]).reshape(n, heads * dim)
        y, back_o = self.linear(out, a + "o_proj.weight")

        def back(dy):
            dout = back_o(dy).reshape(n, heads, dim)
            dp = np.einsum("ihd,jhd->hij", dout, v[:, kv_of])
            ds = p * (dp - (p * dp).sum(-1, keepdims=True)) / math.sqrt(dim)
            dq = np.einsum("hij,jhd->ihd", ds, k[:, kv_of])
            dk, dv = np.zeros_like(k), np.zeros_like(v)
            for head in range(heads):
                dk[:, kv_of[head]] += ds[head].T @ q[:, head]
                dv[:, kv_of[head]] += p[head].T @ dout[:, head]
            dq = back_rope_q(dq).reshape(n, -1)
            dk, dv = back_rope_k(dk).reshape(n, -1), dv.reshape(n, -1)
            if c["model_type"] == "phi3":
                return back_qkv(np.concatenate([dq, dk, dv], 1))
            return back_q(dq) + back_k(dk) + back_v(dv)
        return y, back

    def mlp(self, h, prefix):
        a = prefix + "mlp."
        if self.config["model_type"] == "phi3":
            both, back_both = self.linear(h, a + "gate_up_proj.weight")
            gate, up = np.split(both, 2, 1)
        else:
            gate, back_gate = self.linear(h, a + "gate_proj.weight")
            up, back_up = self.linear(h, a + "up_proj.weight")
        s = 1 / (1 + np.exp(-gate))
        y, back_down = self.linear(gate * s * up, a + "down_proj.weight")

        def back(dy):
            d = back_down(dy)
            dgate, dup = d * up * (s + gate * s * (1 - s)), d * gate * s
            if self.config["model_type"] == "phi3":
                return back_both(np.concatenate([dgate, dup], 1))
            return back_gate(dgate) + back_up(dup)
        return y, back

    def train(self, ids, targets, factor):
        """Sum of -log p(target); adds the gradient of factor * sum."""
        tape = []
        x = self.t["model.embed_tokens.weight"][ids]
        for layer in range(self.config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            for name, block in (("input_layernorm", lambda h: self.attention(h, prefix, layer)),
                                ("post_attention_layernorm", lambda h: self.mlp(h, prefix))):
                h, back_norm = self.norm(x, prefix + name + ".weight")
                y, back_block = block(h)
                tape.append((back_norm, back_block))
                x = x + y
        h, back_final = self.norm(x, "model.norm.weight")
        head = "lm_head.weight" if "lm_head.weight" in self.t else "model.embed_tokens.weight"
        logits, back_head = self.linear(h, head)
        p = np.exp(logits - logits.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        rows = np.array([i for i, t in enumerate(targets) if t >= 0])
        wanted = np.array([t for t in targets if t >= 0])
        loss = -np.log(p[rows, wanted]).sum()
        d = np.zeros_like(p)
        d[rows] = p[rows]
        d[rows, wanted] -= 1
        dx = back_final(back_head(d * factor))
        for back_norm, back_block in reversed(tape):
            dx = dx + back_norm(back_block(dx))
        np.add.at(self.grad["model.embed_tokens.weight"], ids, dx)
        return loss


def adamw(model, state, step, rate):
    norm = math.sqrt(sum((g ** 2).sum() for g in model.grad.values()))
    scale = min(1.0, 1.0 / norm)
    for name, g in model.grad.items():
        g *= scale
        m, v = state.setdefault(name, [0.0, 0.0])
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        state[name] = [m, v]
        w = model.t[name]
        if w.ndim == 2:
            w = w * (1 - rate * 0.1)
        w = w - rate * (m / (1 - 0.9 ** step)) / (np.sqrt(v / (1 - 0.95 ** step)) + 1e-8)
        model.t[name] = w
        model.grad[name] = np.zeros_like(w)


def rate_of(step):
    """Peak 3e-3, 3 steps of warm-up, a cosine to a tenth after STEPS."""
    if step < 3:
        return 3e-3 * (step + 1) / 3
    return 3e-3 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 3) / (STEPS - 3))))


def make_examples(vocab):
    rng = np.random.default_rng(5)
    examples = []
    for length in (40, 3, 25, 70):
        ids = rng.integers(0, vocab, length + 1)
        targets = [int(t) if rng.random() < 0.6 else -1 for t in ids[1:]]
        targets[-1] = int(ids[-1])
        examples.append((ids[:-1].tolist(), targets))
    return examples


def reference(config, tensors, examples):
    model, state, losses, first = Model(config, tensors), {}, [], None
    learned = sum(t >= 0 for _, targets in examples for t in targets)
    for step in range(STEPS):
        losses.append(sum(model.train(np.array(i), t, 1 / learned) for i, t in examples) / learned)
        if step == 0:
            first = {name: g.copy() for name, g in model.grad.items()}
        adamw(model, state, step + 1, rate_of(step))
    return first, losses


def check_oracle(folder, examples, gradients, losses, work):
    (work / "examples").write_text("".join(
        " ".join(map(str, i)) + " | " + " ".join(map(str, t)) + "\n" for i, t in examples))
    names = subprocess.run(
        [os.environ["TRAIN_ORACLE"], folder, work / "examples", str(STEPS), work / "out"],
        check=True, capture_output=True, text=True).stdout.split()
    values, at, worst = np.fromfile(work / "out"), 0, 0.0
    assert set(names[::2]) == set(gradients), "other tensors"
    for name, count in zip(names[::2], map(int, names[1::2])):
        expected = gradients[name].ravel()
        found, at = values[at:at + count], at + count
        error = np.abs(found - expected).max() / (1e-30 + np.abs(expected).max())
        assert error < 1e-8, f"{folder.name}: gradient of {name}: relative error {error:.3g}"
        worst = max(worst, error)
    found = values[at:]
    assert len(found) == STEPS and np.allclose(found, losses, rtol=1e-8, atol=0), (
        f"{folder.name}: losses {found} instead of {losses}")
    return worst


def check_program(folder, examples, losses, work):
    lines = [json.dumps({"ids": i + [t[-1]], "labels": [-100] + [x if x >= 0 else -100 for x in t]})
             for i, t in examples]
    (work / "data.jsonl").write_text("\n".join(lines) + "\n")
    subprocess.run([os.environ["TANDEM_PROGRAM"], "train", "--model", folder, "--data",
                    work / "data.jsonl", "--out", work / "trained", "--steps", str(STEPS),
                    "--batch-tokens", "138", "--lr", "3e-3", "--warmup", "3", "--threads", "1",
                    "--quiet"],
                   check=True)
    log = [json.loads(line) for line in (work / "trained/train.jsonl").read_text().splitlines()]
    found = [entry["loss"] for entry in log if entry.get("event") == "step"]
    assert len(found) == STEPS and np.allclose(found, losses, rtol=1e-3, atol=0), (
        f"{folder.name}: tandem train's losses {found} instead of {losses}")


def main():
    golden = pathlib.Path(os.environ["TANDEM_SHARED"]) / "golden"
    if not golden.is_dir():
        print(f"{golden} is not there: skipped")
        return 77
    for folder in sorted(p for p in golden.iterdir() if (p / "config.json").exists()):
        config = json.loads((folder / "config.json").read_text())
        examples = make_examples(config["vocab_size"])
        gradients, losses = reference(config, load_tensors(folder), examples)
        with tempfile.TemporaryDirectory() as work:
            work = pathlib.Path(work)
            worst = check_oracle(folder, examples, gradients, losses, work)
            check_program(folder, examples, losses, work)
        print(f"{folder.name}: gradients within {worst:.1e}, losses {losses[0]:.4f} ... "
              f"{losses[-1]:.4f} agree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
