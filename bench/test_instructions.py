"""Tests of what is made of the counts."""

import contextlib
import io
import os
import unittest
from unittest.mock import patch

import instructions


class Instructions(unittest.TestCase):
    here = {"rustc": "1.95", "avx2": True}

    def judge(self, count, toolchain, required=None):
        baseline = {"toolchain": toolchain, "instructions": {"cold start: dfget": 100_000}}
        with patch.dict(os.environ, {"DFGET_TEST_REQUIRE": required} if required else {}):
            if not required:
                os.environ.pop("DFGET_TEST_REQUIRE", None)
            return instructions.judge({"cold start: dfget": count}, baseline, self.here)

    def test_more_than_the_tolerance_is_a_regression(self):
        self.assertEqual([self.judge(count, self.here) for count in (90_000, 100_000, 103_900, 104_100)], [0, 0, 0, 1])

    def test_of_next_to_nothing_some_more_is_no_regression(self):
        for before, count, regression in ((-12, 17, False), (-12, 90, True), (17, 60, False), (17, 70, True)):
            self.assertEqual(bool(instructions.worse({"x": count}, {"x": before})), regression, (before, count))

    def test_another_toolchain_is_said_and_not_judged(self):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(self.judge(200_000, {"rustc": "1.94", "avx2": True}), 0)
        self.assertEqual(said.getvalue(), "not judged, because the baseline is of another toolchain: rustc 1.95 for 1.94\n")

    def test_another_toolchain_fails_the_gate_even_where_no_count_is_worse(self):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(self.judge(100_000, {"rustc": "1.94", "avx2": True}, "1"), 1)
        self.assertIn("rustc 1.95 for 1.94. `make bench-instructions UPDATE=1` makes one of this", said.getvalue())
        self.assertEqual(self.judge(100_000, self.here, "1"), 0)

    def test_another_processor_does_not_fail_the_gate(self):
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(self.judge(200_000, {"rustc": "1.95", "avx2": False}, "1"), 0)

    def test_two_sizes_make_a_count_a_mib_of_the_smallest(self):
        found = {("by messages, large", "dfget"): [6500, 4810], ("by messages, little", "dfget"): [10, 1700]}
        self.assertEqual(instructions.fewest(found), {"by messages, a MiB: dfget": 100})

    def test_a_log_of_callgrind_gives_the_process_and_its_instructions(self):
        log = "==7== Command: /x/d7y-resource-plugin-share\n==7== Collected : 2753622\n"
        self.assertEqual(instructions.counted(log), ("plugin", 2753622))
        with self.assertRaisesRegex(instructions.CountFailed, "callgrind did not finish"):
            instructions.counted("==7== Command: /x/dfget\n")
