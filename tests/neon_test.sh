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
sources='tests/kernels_test.c'
for name in cpu error memory thread_pool; do
    sources="$sources src/base/$name.c"
done
for name in kernels matmul neon quant scalar scalar_blocks tensor_type; do
    sources="$sources src/kernels/$name.c"
done
# shellcheck disable=SC2086 # a list
"$compiler" -std=gnu17 -O2 -Wall -Wextra -Werror -Wno-missing-field-initializers -D_GNU_SOURCE \
    -ffp-contract=off -fno-math-errno -Isrc -Itests/standin -static -pthread $sources -lm \
    -o "$folder/kernels_test"
TANDEM_EXPECT_ISA=neon qemu-aarch64 "$folder/kernels_test"
