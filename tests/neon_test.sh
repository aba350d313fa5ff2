#!/bin/sh
# The kernels' tests for AArch64: cross-compiled, and run under QEMU's user emulation.
set -eu
compiler=${AARCH64_CC:-aarch64-linux-gnu-gcc}
for tool in "$compiler" qemu-aarch64; do
    command -v "$tool" >/dev/null || {
        echo "skipped: $tool is not installed (packages gcc-aarch64-linux-gnu, qemu-user)"
        exit 77
    }
done
cd "$TANDEM_SOURCE"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sources=
for name in cpu error file memory strbuf thread_pool work_shares; do
    sources="$sources src/base/$name.c"
done
for name in attention bitsandbytes fit_scalar kernels matmul matmul_floats neon quant scalar scalar_blocks tensor_type; do
    sources="$sources src/kernels/$name.c"
done
compile() {
    "$compiler" -std=gnu17 -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers -D_GNU_SOURCE \
        -ffp-contract=off -fno-math-errno -Isrc -Itests/standin -static -pthread \
        -ffunction-sections -Wl,--gc-sections "$@" # what is not called needs nothing
}
compile -march=armv8.2-a+dotprod -c src/kernels/quant_neon.c -o "$folder/quant_neon.o"
for test in kernels_test quant_test; do
    # shellcheck disable=SC2086 # a list
    compile "tests/$test.c" $sources "$folder/quant_neon.o" -lm -o "$folder/$test"
done
TANDEM_EXPECT_ISA=neon qemu-aarch64 "$folder/kernels_test"
TANDEM_EXPECT_QUANT=neon qemu-aarch64 "$folder/quant_test"
# A processor without dot products multiplies in floats.
TANDEM_EXPECT_QUANT=none qemu-aarch64 -cpu cortex-a53 "$folder/quant_test"
