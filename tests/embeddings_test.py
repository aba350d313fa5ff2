#!/usr/bin/env python3
"""Embeddings of tandem serve against the float64 reference in NumPy, for random checkpoints of both
families: the states behind the final norm, pooled, scaled to length 1. Skipped where NumPy or the
folder of shared data is absent."""
import base64
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("skipped: python3-numpy is not installed")
    sys.exit(77)

from serve_client import MODELS, PHI, QWEN, Server, main

SHARED = pathlib.Path(os.environ.get("TANDEM_SHARED", ""))
REFERENCE = SHARED / "reference" / "reference.py"
if not REFERENCE.is_file():
    print(f"skipped: {REFERENCE} is not here (TANDEM_SHARED)")
    sys.exit(77)

TEXTS = ["the sea", "a ship and a whale", "你好, " * 30, "x"]
FLOAT32_ERROR = 1e-5
# BF16 weights and an F16 KV cache, activations rounded to BF16 where the CPU multiplies those.
DEFAULT_ERROR = 1e-3


def load_reference():
    spec = importlib.util.spec_from_file_location("reference", REFERENCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_safetensors(path, tensors):
    header, blobs, offset = {}, [], 0
    for name, tensor in tensors.items():
        blobs.append(tensor.astype("<f4").tobytes())
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blobs[-1])]}
        offset += len(blobs[-1])
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


class Oracle:
    """The reference's embeddings of one checkpoint."""

    def __init__(self, reference, folder):
        self.reference = reference
        self.config, self.tensors = reference.load_checkpoint(folder)
        # An output matrix that changes nothing gives the states instead of logits.
        self.stem = self.tensors | {"lm_head.weight": np.eye(self.config["hidden_size"])}

    def embed(self, ids, pooling):
        states = self.reference.forward(self.config, self.stem, ids)
        pooled = states.mean(0) if pooling == "mean" else states[-1]
        return pooled / np.linalg.norm(pooled)

    def write_float32(self, folder, source):
        shutil.copytree(source, folder)
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        write_safetensors(folder / "model.safetensors", self.tensors)


class Embeddings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reference = load_reference()
        cls.oracles = {name: Oracle(reference, MODELS / name) for name in (QWEN, PHI)}
        for name, oracle in cls.oracles.items():
            oracle.write_float32(MODELS / f"{name}-f32", MODELS / name)
        cls.exact = Server("--kv-type", "f32", models=[f"{name}-f32" for name in cls.oracles])
        cls.default = Server(models=list(cls.oracles))

    @classmethod
    def tearDownClass(cls):
        cls.exact.stop()
        cls.default.stop()

    def embed(self, server, model, input_, **more):
        data = server.json("POST", "/v1/embeddings",
                           {"model": model, "input": input_, **more})["data"]
        self.assertEqual([entry["index"] for entry in data], list(range(len(data))))
        return [entry["embedding"] for entry in data]

    def tokens(self, server, model, text):
        return server.json("POST", "/tokenize", {"model": model, "prompt": text})["tokens"]

    def check(self, server, model, name, bound):
        ids = [self.tokens(server, model, text) for text in TEXTS]
        for pooling in ("mean", "last"):
            wanted = np.array([self.oracles[name].embed(one, pooling) for one in ids])
            for input_ in (TEXTS, ids):
                for coding in ("float", "base64"):
                    found = self.embed(server, model, input_, pooling=pooling,
                                       encoding_format=coding)
                    if coding == "base64":
                        found = [np.frombuffer(base64.b64decode(one), "<f4") for one in found]
                    error = np.abs(np.array(found, np.float64) - wanted).max()
                    self.assertLess(error, bound, (model, pooling, coding))
            [one] = self.embed(server, model, ids[1], pooling=pooling)
            self.assertLess(np.abs(np.array(one) - wanted[1]).max(), bound)
            print(f"{model}, {pooling}: largest difference {error:.1e}")
        [mean] = self.embed(server, model, TEXTS[0])
        self.assertEqual(mean, self.embed(server, model, TEXTS[0], pooling="mean")[0])

    def test_float32(self):
        for name in self.oracles:
            self.check(self.exact, f"{name}-f32", name, FLOAT32_ERROR)

    def test_default(self):
        for name in self.oracles:
            self.check(self.default, name, name, DEFAULT_ERROR)


main()
