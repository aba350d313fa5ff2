"""The instruction sets whose kernels this machine can run, as TANDEM_ISA names them."""
import os
import subprocess


def available_isas():
    def runs(isa):
        environment = dict(os.environ, TANDEM_ISA=isa)
        return subprocess.run([os.environ["TANDEM_PROGRAM"], "--version"], env=environment,
                              capture_output=True).returncode == 0
    return [isa for isa in ("scalar", "avx2", "avx512", "amx", "neon") if runs(isa)]
