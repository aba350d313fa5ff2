"""Writes files as C arrays: embed.py OUTPUT.c HEADER.h SYMBOL=FILE ... SYMBOL[]=FILE ...

SYMBOL=FILE defines one `struct embedded_file`; all SYMBOL[]=FILE together define one array of
them that ends with a zero entry.
"""
import os
import sys


def array(name, data):
    rows = [data[i:i + 24] for i in range(0, len(data), 24)]
    body = ",\n    ".join(", ".join(str(b if b < 128 else b - 256) for b in row) for row in rows)
    return "static const char %s[] = {\n    %s%s0};\n" % (name, body, ", " if data else "")


def entry(name, path, size):
    return '{"%s", %s, %d}' % (os.path.splitext(os.path.basename(path))[0], name, size)


def main():
    output, header, specs = sys.argv[1], sys.argv[2], sys.argv[3:]
    parts, singles, arrays = ['#include "%s"\n' % header], [], {}
    for number, spec in enumerate(specs):
        symbol, path = spec.split("=", 1)
        with open(path, "rb") as f:
            data = f.read()
        name = "data_%d" % number
        parts.append(array(name, data))
        if symbol.endswith("[]"):
            arrays.setdefault(symbol, []).append(entry(name, path, len(data)))
        else:
            singles.append("const struct embedded_file %s = %s;\n"
                           % (symbol, entry(name, path, len(data))))
    for symbol, entries in arrays.items():
        singles.append("const struct embedded_file %s = {\n    %s,\n    {0}};\n"
                       % (symbol, ",\n    ".join(entries)))
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(parts + singles))


main()
