#!/bin/sh
# An installed Tandem: the example builds with pkg-config against the shared and the static library
# and chats; the header is C++; the shared library exports the public functions and nothing else.
set -eu
: "${TANDEM_BUILD:?}" "${TANDEM_SOURCE:?}" "${TANDEM_MAKE_MODELS:?}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "install_test: $1" >&2; exit 1; }

DESTDIR="$work/root" meson install -C "$TANDEM_BUILD" --no-rebuild --quiet
pc=$(find "$work/root" -name tandem.pc)
lib=$(dirname "$(dirname "$pc")")
header=$(find "$work/root" -name tandem.h)
export PKG_CONFIG_PATH="${pc%/*}"
flags="--define-variable=prefix=${header%/include/tandem.h}"

"$TANDEM_MAKE_MODELS" "$work" > "$work/models"
chat() { # program
    answer=$(printf 'Hello\nAnd now?\n' | LD_LIBRARY_PATH="$lib" "$1" "$work/tandem-random-qwen2")
    [ "$(printf '%s' "$answer" | grep -c '^> ')" -ge 2 ] || fail "$1 said: $answer"
}
# A library with sanitizers needs programs with the same.
sanitize=$(printf '%s' "${TANDEM_SANITIZE:-none}" | tr -cd 'a-z,')
case $sanitize in none | '') extra= ;; *) extra=-fsanitize=$sanitize ;; esac

cc -Wall -Wextra -Werror $extra "$TANDEM_SOURCE/examples/chat.c" \
    $(pkg-config $flags --cflags --libs tandem) -o "$work/shared-chat"
chat "$work/shared-chat"
cc $extra "$TANDEM_SOURCE/examples/chat.c" $(pkg-config $flags --cflags tandem) "$lib/libtandem.a" \
    $(pkg-config $flags --libs --static tandem | sed 's/-ltandem//') -o "$work/static-chat"
chat "$work/static-chat"

if command -v c++ > /dev/null; then
    printf '#include <tandem.h>\nint main() { return tandem_version() == nullptr; }\n' \
        > "$work/v.cc"
    c++ -Wall -Wextra -Werror $extra "$work/v.cc" $(pkg-config $flags --cflags --libs tandem) \
        -o "$work/version"
    LD_LIBRARY_PATH="$lib" "$work/version" || fail "the C++ program fails"
fi

exported=$(nm -D --defined-only "$lib/libtandem.so" | awk '$2 != "A" {print $3}' | grep -v '^_')
others=$(printf '%s\n' "$exported" | grep -v '^tandem_' || true)
[ -z "$others" ] || fail "also exported: $others"
for name in $(sed -n 's/.*\(tandem_[a-z_]*\)(.*/\1/p' "$header" | sort -u); do
    grep -q "TANDEM_API.* \**$name(" "$header" || continue
    printf '%s\n' "$exported" | grep -qx "$name" || fail "$name is not exported"
done
lines=$(wc -l < "$TANDEM_SOURCE/examples/chat.c")
[ "$lines" -lt 60 ] || fail "examples/chat.c has $lines lines"
echo "install_test: $(printf '%s\n' "$exported" | wc -l) functions exported, the example chats"
