#!/usr/bin/env python3
"""Checks every #include against layers.toml, and that the table itself has no cycle.

  check_layers.py [root]    another root is for the self-test
"""
import pathlib
import re
import sys
import tomllib

import source_tree

INCLUDE = re.compile(r'^[ \t]*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)
PUBLIC_ROOTS = ("engine/include", "graph/include", "frontends/include")
UNLIMITED = ("tests", "bench")


def below(path, folder):
    return path == folder or path.startswith(folder + "/")


class Layers:
    def __init__(self, table, root):
        self.modules = table["modules"]
        self.third_party = table["third_party"]
        self.runtime_side = table["runtime_side"]
        self.root = root

    def module_of(self, path):
        owners = [module for module in self.modules if below(path, module)]
        return max(owners, key=len, default=None)

    def is_ours(self, name):
        return below(name, "pocketune") or name.split("/")[0] in source_tree.CODE_FOLDERS

    def resolve(self, name):
        """Path in the repository of an included header, None where there is none of that name."""
        for folder in ("", *(root + "/" for root in PUBLIC_ROOTS)):
            if (self.root / (folder + name)).is_file():
                return folder + name
        # Generated headers lie in the build folder under their source's path.
        return name if name.endswith(("_generated.h", "_generated.def")) else None

    def check_own(self, module, name):
        path = self.resolve(name)
        if path is None:
            return f'"{name}" does not exist'
        target = self.module_of(path)
        allowed = self.modules[module]
        if target == module or "*" in allowed or target in allowed:
            return None
        return (f'{module} may not include {target} ("{name}"; it may include '
                f'{", ".join(allowed) or "nothing but itself"})')

    def check_foreign(self, module, name):
        for prefix, users in self.third_party.items():
            if name.startswith(prefix):
                if module in UNLIMITED or any(below(module, user) for user in users):
                    return None
                return f"{module} may not include {name} (allowed in {', '.join(users) or 'tests'})"
        runtime_side = any(below(module, side) for side in self.runtime_side["modules"])
        if runtime_side and name in self.runtime_side["banned"]:
            return f"the runtime side does without <{name}>"
        return None

    def check_file(self, path):
        module = self.module_of(path)
        if module is None:
            return [f"{path}: its folder is not in layers.toml"]
        findings = []
        text = (self.root / path).read_text()
        for match in INCLUDE.finditer(text):
            name = match[1] or match[2]
            check = self.check_own if match[1] and self.is_ours(name) else self.check_foreign
            finding = check(module, name)
            if finding:
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{path}:{line}: {finding}")
        return findings

    def cycles(self):
        findings = []
        done = set()

        def visit(module, trail):
            if module in trail:
                findings.append("cycle: " + " -> ".join(trail[trail.index(module):] + [module]))
            elif module not in done:
                for target in self.modules.get(module, []):
                    visit(target, trail + [module])
                done.add(module)

        for module in self.modules:
            visit(module, [])
        return findings


def check(root):
    with open(pathlib.Path(__file__).with_name("layers.toml"), "rb") as file:
        layers = Layers(tomllib.load(file), root)
    findings = layers.cycles()
    for path in source_tree.files((".h", ".cc"), root=root):
        findings += layers.check_file(path)
    return findings


if __name__ == "__main__":
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else source_tree.ROOT
    source_tree.finish("check_layers", check(root))
