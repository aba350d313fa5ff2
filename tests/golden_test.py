#!/usr/bin/env python3
"""Logits, NLL and greedy tokens against the float64 oracle, for every golden checkpoint and for
GGUF files written from it: through the program, as a user would ask for them."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from instruction_sets import available_isas

PROGRAM = os.environ["TANDEM_PROGRAM"]
GOLDEN = pathlib.Path(os.environ["TANDEM_SHARED"]) / "golden"
TO_GGUF = os.environ["TANDEM_TO_GGUF"]
MAX_LOGIT_ERROR = 2e-3
MAX_NLL_ERROR = 1e-3


def tandem(*arguments, isa=None):
    environment = dict(os.environ, **({"TANDEM_ISA": isa} if isa else {}))
    done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          env=environment)
    if done.returncode:
        raise SystemExit(f"tandem {' '.join(map(str, arguments))}: {done.stderr}")
    return json.loads(done.stdout)


def largest_difference(ours, theirs):
    assert len(ours) == len(theirs), (len(ours), len(theirs))
    return max((abs(a - b) for a, b in zip(ours, theirs)), default=0)


def check(model, golden, label, isa=None):
    ids = ",".join(map(str, golden["ids"]))
    scores = tandem("logits", model, "--ids", ids, isa=isa)
    logit_error = max(largest_difference(scores[k], golden[k])
                      for k in ("logits_first", "logits_last"))
    nll_error = largest_difference(scores["nll"], golden["nll"])
    greedy = tandem("generate", model, "--ids", ids, "--max-tokens", len(golden["greedy"]),
                    isa=isa)["ids"]
    good = (logit_error <= MAX_LOGIT_ERROR and nll_error <= MAX_NLL_ERROR
            and greedy == golden["greedy"])
    print(f"{'ok  ' if good else 'FAIL'} {label}: logits {logit_error:.1e}, NLL {nll_error:.1e}, "
          f"greedy {'equal' if greedy == golden['greedy'] else 'DIFFERENT'}")
    return good


def main():
    if not GOLDEN.is_dir():
        print(f"skipped: {GOLDEN} is not here")
        return 77
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for model in sorted(p for p in GOLDEN.iterdir() if p.is_dir()):
            golden = json.loads((model / "golden.json").read_text())
            for isa in available_isas():
                good &= check(model, golden, f"{model.name} ({isa})", isa)
            gguf = pathlib.Path(folder) / (model.name + ".gguf")
            subprocess.run([TO_GGUF, model, gguf], check=True)
            good &= check(gguf, golden, gguf.name)
    return 0 if good else 1


sys.exit(main())
