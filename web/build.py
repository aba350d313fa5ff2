"""Builds the web page with npm in the build folder. The source tree is only read. Beside each file
that gzip makes smaller lies FILE.gz, which the server sends to browsers that take it.

The packages of package-lock.json are installed once, beside the page, and again when that file
changes. Where npm cannot get them (no network), the folder given with --else becomes the page.
"""
import argparse
import gzip
import hashlib
import pathlib
import shutil
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parent
COPIED = ["package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts",
          "index.html", "src", "public"]


def copy_sources(work):
    work.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.rmtree(work / name, ignore_errors=True)
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copyfile
        copy(SOURCE / name, work / name)


def write_depfile(options):
    """All sources, so that the page is built again when one of them changes."""
    files = sorted(path for name in COPIED for path in [SOURCE / name, *(SOURCE / name).rglob("*")])
    names = " ".join(str(path).replace(" ", "\\ ") for path in files)
    options.depfile.write_text(f"{options.stamp}: {names}\n")


def install(npm, work):
    """Whether the packages are there."""
    lock = hashlib.sha256((work / "package-lock.json").read_bytes()).hexdigest()
    installed = work / "node_modules" / ".installed"
    if installed.is_file() and installed.read_text() == lock:
        return True
    done = subprocess.run([npm, "ci", "--ignore-scripts", "--loglevel=error"], cwd=work, check=False)
    if done.returncode == 0:
        installed.write_text(lock)
    return done.returncode == 0


def build(options, work):
    if install(options.npm, work):
        done = subprocess.run([options.npm, "run", "--silent", "build"], cwd=work, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit("the web page does not build:\n" + done.stdout.decode())
        return work / "dist"
    if not options.otherwise:
        sys.exit("npm cannot install the packages of web/package-lock.json")
    print(f"warning: npm cannot install the packages of web/package-lock.json: the program is built "
          f"without its page; to try again, remove {options.stamp} and build", file=sys.stderr)
    return options.otherwise


def compress(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            small = gzip.compress(data, 9, mtime=0)
            if len(small) < len(data):
                path.with_name(path.name + ".gz").write_bytes(small)


def main():
    parser = argparse.ArgumentParser()
    for name in ["--npm", "--folder", "--stamp", "--depfile"]:
        parser.add_argument(name, required=True, type=pathlib.Path)
    parser.add_argument("--else", dest="otherwise", type=pathlib.Path)
    options = parser.parse_args()
    work = options.folder.parent / "page-work"
    copy_sources(work)
    page = build(options, work)
    shutil.rmtree(options.folder, ignore_errors=True)
    shutil.copytree(page, options.folder)
    compress(options.folder)
    write_depfile(options)
    options.stamp.write_text("")


main()
