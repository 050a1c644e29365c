"""What the lint checks share: the repository's files and how findings are reported."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE_FOLDERS = ("engine", "graph", "autodiff", "backends", "sparse_bp", "frontends", "apps", "tests",
                "bench")
PRODUCT_FOLDERS = tuple(folder for folder in CODE_FOLDERS if folder not in ("tests", "bench"))


def files(suffixes, folders=CODE_FOLDERS, root=ROOT):
    """Paths below `folders` relative to `root`, sorted, with one of `suffixes`. Not those in hidden
    folders: what is installed there, as the benchmarks' peers, is not ours."""
    found = []
    for folder in folders:
        for path in (root / folder).rglob("*"):
            name = path.relative_to(root).as_posix()
            if path.suffix in suffixes and "/." not in name and path.is_file():
                found.append(name)
    return sorted(found)


def finish(check, findings):
    """Prints the findings and exits: 0 without any, else 1."""
    for finding in findings:
        print(f"{check}: {finding}")
    sys.exit(1 if findings else 0)
