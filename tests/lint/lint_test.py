#!/usr/bin/env python3
"""Checks that the lint checks find what they are for: each is given a planted violation."""
import pathlib
import tempfile
import unittest

import check_baseline
import check_defs
import check_exports
import check_layers
import check_lengths
import check_prose
import check_symbols
import check_test_names
import check_tests
import op_table
import source_tree
import sum_reports


class LayersTest(unittest.TestCase):
    def findings(self, path, text):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name in (path, "graph/ir/graph.h", "engine/include/pocketune/types.h"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("")
            (root / path).write_text(text)
            return check_layers.check(root)

    def test_allows_what_the_table_lists(self):
        text = '#include <vector>\n#include "graph/ir/graph.h"\n#include "pocketune/types.h"\n'
        self.assertEqual(self.findings("autodiff/a.cc", text), [])

    def test_finds_the_runtime_reaching_the_compile_side(self):
        found = self.findings("engine/runtime/a.cc", '\n#include "graph/ir/graph.h"\n')
        self.assertEqual(len(found), 1)
        self.assertIn("a.cc:2: engine/runtime may not include graph/ir", found[0])

    def test_finds_third_party_headers_out_of_place(self):
        self.assertEqual(len(self.findings("engine/base/a.h", '#include "absl/status/status.h"')), 1)
        self.assertEqual(len(self.findings("graph/ir/a.h", "#include <xnnpack.h>")), 1)

    def test_finds_streams_on_the_runtime_side_alone(self):
        self.assertEqual(len(self.findings("backends/cpu/a.cc", "#include <iostream>")), 1)
        self.assertEqual(self.findings("apps/cli/a.cc", "#include <iostream>"), [])

    def test_finds_headers_that_do_not_exist(self):
        self.assertEqual(len(self.findings("graph/ir/a.cc", '#include "graph/ir/b.h"')), 1)

    def test_finds_folders_that_the_table_does_not_know(self):
        self.assertEqual(len(self.findings("graph/fusion/a.cc", "")), 1)

    def test_finds_cycles_of_the_table(self):
        table = {"modules": {"a": ["b"], "b": ["c"], "c": ["b"]}, "third_party": {},
                 "runtime_side": {}}
        cycles = check_layers.Layers(table, pathlib.Path()).cycles()
        self.assertEqual(cycles, ["cycle: b -> c -> b"])


class SourceTreeTest(unittest.TestCase):
    def test_skips_what_is_installed_in_hidden_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name in ("bench/a.py", "bench/peers/b.py", "bench/.venv/lib/c.py"):
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("")
            self.assertEqual(source_tree.files((".py",), ("bench",), root),
                             ["bench/a.py", "bench/peers/b.py"])


class LengthsTest(unittest.TestCase):
    def test_counts_functions_in_namespaces_and_classes(self):
        text = ('namespace a {\nclass B : public C {\n  int D() const {\n    return 1;\n  }\n};\n'
                'void E(int f = 1'"'"'000) {\n  if (f) {\n  }\n}\nint g[] = {1,\n2};\n}\n')
        self.assertEqual(check_lengths.functions(text), [("D", 3), ("E", 4)])

    def test_ignores_braces_in_text_comments_and_macros(self):
        text = '#define M(x) \\\n  {\nint A() {\n  // {\n  return F("{", \'{\');\n}\n'
        self.assertEqual(check_lengths.functions(text), [("A", 4)])

    def test_finds_long_functions_and_files(self):
        text = "void F() {\n" + "  G();\n" * 59 + "}\n"
        self.assertEqual(len(check_lengths.check("graph/ir/a.cc", text)), 1)
        self.assertEqual(check_lengths.check("backends/cpu/a.cc", text), [])
        self.assertEqual(len(check_lengths.check("graph/ir/a.cc", "\n" * 501)), 1)
        self.assertEqual(check_lengths.check("graph/ir/a.cc", "\n" * 500), [])


class SymbolsTest(unittest.TestCase):
    def test_knows_what_the_runtime_side_does_without(self):
        for name in ("__cxa_throw", "_ZTISt13runtime_error", "_ZNSolsEi", "_ZN4absl6StatusC1Ev",
                     "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc"):
            self.assertRegex(name, check_symbols.BANNED)
        for name in ("_Znwm", "memcpy", "_ZN9pocketune7Session4OpenEPKc", "_ZNSt6vectorIiE"):
            self.assertNotRegex(name, check_symbols.BANNED)

    def test_knows_what_allocates(self):
        for name in ("_Znwm", "_ZnamSt11align_val_t", "malloc", "mmap"):
            self.assertRegex(name, check_symbols.ALLOCATES)
        self.assertNotRegex("_ZdlPvm", check_symbols.ALLOCATES)


class ExportsTest(unittest.TestCase):
    HEADER = "PTN_API uint32_t ptn_a(void);\nPTN_API ptn_status ptn_b(int x,\n    int y);\n"

    def check(self, listed=("ptn_a", "ptn_b"), exported=("ptn_a", "ptn_b"), needed=("libc.so.6",)):
        return check_exports.check(self.HEADER, list(listed), exported, needed)

    def test_takes_what_header_list_and_library_agree_on(self):
        self.assertEqual(self.check(), [])

    def test_finds_what_is_missing_or_too_much_in_any_of_them(self):
        self.assertEqual(len(self.check(listed=("ptn_a",))), 2)
        self.assertEqual(len(self.check(exported=("ptn_a",))), 1)
        self.assertEqual(len(self.check(exported=("ptn_a", "ptn_b", "_ZN9pocketune3RunEv"))), 1)
        self.assertEqual(len(self.check(listed=("ptn_b", "ptn_a"))), 1)

    def test_finds_libraries_that_are_not_the_runtimes(self):
        self.assertEqual(len(self.check(needed=("libabsl_status.so.20220623", "libhwy.so.1"))), 1)

    def test_reads_names_off_nm(self):
        listing = "0000 A POCKETUNE_0\n00a1 T ptn_a@@POCKETUNE_0\n00a2 W _ZSt4swap\n"
        self.assertEqual(check_exports.EXPORTED.findall(listing), ["ptn_a", "_ZSt4swap"])


class BaselineTest(unittest.TestCase):
    def test_finds_instructions_beyond_the_baseline(self):
        for line in ("aese\tv0.16b, v1.16b", "pmull\tv0.1q, v1.1d, v2.1d", "sha256h\tq0, q1, v2.4s",
                     "ldaddal\tx0, x1, [x2]", "casal\tx0, x1, [x2]", "stadd\tw0, [x1]",
                     "usdot\tv0.4s, v1.16b, v2.16b", "fmla\tv0.8h, v1.8h, v2.8h", "fadd\th0, h1, h2",
                     "fmlal\tv0.4s, v1.4h, v2.4h", "fadd\tz0.s, z1.s, z2.s",
                     "ld1w\t{z0.s}, p0/z, [x0]", "crc32cx\tw0, w1, x2", "ldapr\tw0, [x1]"):
            listing = f"0000 <Run>:\n   4:\tnop\n   8:\t{line}\n"
            self.assertEqual(list(check_baseline.beyond(listing)), [("Run", line)])

    def test_lets_the_baseline_pass(self):
        for line in ("fmla\tv0.4s, v1.4s, v2.s[0]", "ldaxr\tw0, [x1]", "pmull\tv0.8h, v1.8b, v2.8b",
                     "fcvtl\tv0.4s, v1.4h", "fcvt\ts0, h1", "bfi\tw0, w1, #1, #2", "csel\tx0, x1, x2, eq",
                     "smlal\tv0.4s, v1.4h, v2.4h", "bl\t0 <f_p0/z>", "add\tv0.8h, v1.8h, v2.8h"):
            self.assertEqual(list(check_baseline.beyond(f"0000 <Run>:\n   4:\t{line}\n")), [])


class TestsTest(unittest.TestCase):
    LONG = "\n" * 81

    def check(self, texts, rows, *existing):
        return check_tests.check(texts, rows, lambda path: path in existing or path in texts)

    def test_takes_mirrors_goldens_and_named_tests(self):
        sources = {"a/b.cc": self.LONG, "graph/passes/c.cc": self.LONG, "d/e.cc": self.LONG,
                   "f/g.cc": "\n" * 80}
        self.assertEqual(self.check(sources, {"d/*.cc": "tests/d.cc"}, "tests/a/b_test.cc",
                                    "tests/golden/passes/c", "tests/d.cc"), [])

    def test_finds_sources_without_a_test(self):
        self.assertEqual(len(self.check({"a/b.cc": self.LONG}, {})), 1)

    def test_finds_stale_rows(self):
        self.assertEqual(len(self.check({"a/b.cc": "\n" * 80}, {"a/b.cc": "t"}, "t")), 1)
        self.assertEqual(len(self.check({"a/b.cc": self.LONG}, {"a/b.cc": "t"})), 1)

    def of_application(self, row, test):
        texts = {"apps/cli/a.cc": self.LONG + 'Say("no colour")', "tests/t.cc": test,
                 "tests/util.h": '#include "apps/cli/a.h"'}
        return self.check(texts, {"apps/cli/a.cc": row})

    def test_takes_tests_of_applications_that_include_or_write_out(self):
        self.assertEqual(self.of_application(["tests/t.cc", "no colour"], 'Has("no colour")'), [])
        self.assertEqual(self.of_application(["tests/t.cc"], '#include "apps/cli/a.h"'), [])
        self.assertEqual(self.of_application(["tests/t.cc"], '#include "tests/util.h"'), [])

    def test_finds_tests_of_applications_that_have_nothing_to_do_with_them(self):
        for row in ("tests/t.cc", ["tests/t.cc"], ["tests/t.cc", "no colour"], ["tests/none.cc"],
                    ["tests/t.cc", "Say("]):
            self.assertEqual(len(self.of_application(row, "Say(1)")), 1, row)


class TestNamesTest(unittest.TestCase):
    def check(self, rest):
        return check_test_names.check("a.cc", f"\nINSTANTIATE_TEST_SUITE_P({rest});\n")

    def test_takes_named_cases_and_ranges_from_zero(self):
        self.assertEqual(self.check('A, B, Values("a, (", \'(\'), [](auto& i) { return i.name; }'), [])
        self.assertEqual(self.check("Seeds, B, testing::Range<uint64_t>(0, 60)"), [])

    def test_finds_cases_without_names(self):
        found = self.check("A, BTest, testing::Values(1, 2)")
        self.assertEqual(len(found), 1)
        self.assertIn("a.cc:2: BTest", found[0])
        self.assertEqual(len(self.check("Sizes, B, testing::Range(1, 8)")), 1)


class ProseTest(unittest.TestCase):
    def test_counts_comments_alone_and_behind_code_once(self):
        text = '// Words.\n\nint a;  // more words\n/* and\n   more */\nconst char* b = "// none";\nint c;\n'
        self.assertAlmostEqual(check_prose.share(text), 4 / 6)

    def test_leaves_out_what_functions_do(self):
        text = "// Words.\nint A() {\n  int b = 1;\n  return b;\n}\n"
        self.assertAlmostEqual(check_prose.share(text), 1 / 2)

    def test_finds_headers_that_say_nothing(self):
        self.assertEqual(check_prose.check("a.h", "// One.\n// Two.\nint a, b, c;\n"), [])
        self.assertEqual(len(check_prose.check("a.h", "//----\n// One.\nint a;\nint b;\n")), 1)


class DefsTest(unittest.TestCase):
    OP = op_table.Op("s", "Erf", "erf", "1", "1", "1", "NoAttrs", "0", "Same", "Erf", "")

    def test_takes_a_complete_row(self):
        self.assertEqual(check_defs.check([self.OP], {"Erf": ["cpu.erf"]}), [])

    def test_finds_what_a_row_lacks(self):
        self.assertEqual(len(check_defs.check([self.OP], {})), 1)
        no_rule = self.OP._replace(gradient="NoGradient")
        self.assertEqual(len(check_defs.check([no_rule], {"Erf": ["cpu.erf"]})), 1)
        self.assertEqual(len(check_defs.check([], {"Erf": ["cpu.erf"]})), 1)

    def test_reads_the_table(self):
        ops = op_table.ops()
        text = (source_tree.ROOT / "engine/ops/ops.def").read_text()
        self.assertEqual(len(ops), text.count("\nPT_OP("))
        self.assertEqual(len({op.kind for op in ops}), len(ops))


class ReportsTest(unittest.TestCase):
    def test_tells_outcomes_apart(self):
        skipped = "<testcase name='a' status='notrun'><skipped message='{}'/></testcase>"
        cases = {"<testcase name='a' status='run'/>": "passed",
                 "<testcase name='a' status='fail'/>": "failed",
                 skipped.format("SKIP_RETURN_CODE=77"): "skipped",
                 skipped.format("Unable to find executable"): "failed"}
        for text, want in cases.items():
            case = sum_reports.ElementTree.fromstring(text)
            self.assertEqual(sum_reports.outcome(case), want)


if __name__ == "__main__":
    unittest.main()
