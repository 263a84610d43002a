"""Tests of what is made of the counts."""

import contextlib
import io
import unittest

import instructions


class Instructions(unittest.TestCase):
    here = {"rustc": "1.95"}

    def judge(self, count, toolchain):
        baseline = {"toolchain": toolchain, "instructions": {"cold start: dfget": 100_000}}
        return instructions.judge({"cold start: dfget": count}, baseline, self.here)

    def test_more_than_the_tolerance_is_a_regression(self):
        self.assertEqual([self.judge(count, self.here) for count in (90_000, 100_000, 103_900, 104_100)], [0, 0, 0, 1])

    def test_of_next_to_nothing_some_more_is_no_regression(self):
        for before, count, regression in ((-129, 172, False), (-129, 900, True), (172, 1100, False), (172, 1200, True)):
            self.assertEqual(bool(instructions.worse({"x": count}, {"x": before})), regression, (before, count))

    def test_another_toolchain_is_said_and_not_judged(self):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(self.judge(200_000, {"rustc": "1.94"}), 0)
        self.assertEqual(said.getvalue(), "not judged, because the baseline is of another toolchain: rustc 1.95 for 1.94\n")

    def test_two_sizes_make_a_count_a_mib_of_the_smallest(self):
        found = {("by plugin, 64 MiB", "dfget"): [6500, 4810], ("by plugin, 16 MiB", "dfget"): [10, 1700]}
        self.assertEqual(instructions.fewest(found), {"by plugin, a MiB: dfget": 100})

    def test_a_log_of_callgrind_gives_the_process_and_its_instructions(self):
        log = "==7== Command: /x/d7y-resource-plugin-share\n==7== Collected : 2753622\n"
        self.assertEqual(instructions.counted(log), ("plugin", 2753622))
        with self.assertRaisesRegex(instructions.CountFailed, "callgrind did not finish"):
            instructions.counted("==7== Command: /x/dfget\n")
