"""Writes files as C arrays: embed.py OUTPUT.c HEADER.h SYMBOL=FILE ... SYMBOL[]=FILE ...

SYMBOL=FILE defines one `struct embedded_file`; all SYMBOL[]=FILE together define one array of
them that ends with a zero entry. SYMBOL/=FOLDER defines such an array of all files in a folder and
its subfolders, named by their paths in it; the others are named without folder and extension.
"""
import os
import sys


def array(name, data):
    rows = [data[i:i + 24] for i in range(0, len(data), 24)]
    body = ",\n    ".join(", ".join(str(b if b < 128 else b - 256) for b in row) for row in rows)
    return "static const char %s[] = {\n    %s%s0};\n" % (name, body, ", " if data else "")


def base_name(path):
    return os.path.splitext(os.path.basename(path))[0]


def expand(spec):
    """(symbol, name, path) of every file of a specification."""
    symbol, path = spec.split("=", 1)
    if not symbol.endswith("/"):
        return [(symbol, base_name(path), path)]
    paths = sorted(os.path.join(folder, name)
                   for folder, _, names in os.walk(path) for name in names)
    return [(symbol[:-1] + "[]", os.path.relpath(p, path), p) for p in paths]


def main():
    output, header, specs = sys.argv[1], sys.argv[2], sys.argv[3:]
    parts, singles, arrays = ['#include "%s"\n' % header], [], {}
    for number, (symbol, name, path) in enumerate(file for spec in specs for file in expand(spec)):
        with open(path, "rb") as f:
            data = f.read()
        variable = "data_%d" % number
        parts.append(array(variable, data))
        entry = '{"%s", %s, %d}' % (name, variable, len(data))
        if symbol.endswith("[]"):
            arrays.setdefault(symbol, []).append(entry)
        else:
            singles.append("const struct embedded_file %s = %s;\n" % (symbol, entry))
    for symbol, entries in arrays.items():
        singles.append("const struct embedded_file %s = {\n    %s,\n    {0}};\n"
                       % (symbol, ",\n    ".join(entries)))
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(parts + singles))


main()
