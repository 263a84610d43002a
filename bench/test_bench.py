"""Tests of the bench's own rules; `python3 -m unittest discover bench` runs them."""

import contextlib
import dataclasses
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock, patch

import markdown
import peers
import results
import targets
from cases import FULL, QUICK, Case, by_share, cases, other_build, sides
from ground import PLUGINS, Ground, NoRoom
from measure import Absent, Plan, Run, RunFailed, Side, TooFewRuns, Watched, compare, nothing, ratios, run_after_itself
from processes import Peak


class Ratios(unittest.TestCase):
    def test_fewer_than_three_counted_runs_make_no_ratio(self):
        with self.assertRaisesRegex(TooFewRuns, "no ratio from 2 and 2 runs: at least 3 pairs are needed"):
            ratios([1.0, 2.0], [1.0, 2.0])

    def test_a_side_that_lost_a_run_makes_no_ratio(self):
        with self.assertRaises(TooFewRuns):
            ratios([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0])

    def test_a_ratio_is_that_of_the_medians_and_its_range_that_of_neighbours(self):
        self.assertEqual(ratios([2.0, 4.0, 9.0], [1.0, 4.0, 3.0]), (4.0 / 3.0, 1.0, 3.0))


class Turns(unittest.TestCase):
    def setUp(self):
        self.scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.original = self.scratch / "original"
        self.original.write_text("hello\n")

    def side(self, name, script):
        output, environment = self.scratch / name, {"BENCH_STDERR": str(self.scratch / "stderr")}
        return Side(name, ["/bin/sh", "-c", script, str(output)], output, self.original, environment)

    def test_sides_take_turns_and_warm_ups_are_not_counted(self):
        order = self.scratch / "order"
        script = f'printf "%s " "${{0##*/}}" >> {order}; echo hello > "$0"'
        found = compare([self.side("a", script), self.side("b", script), self.side("c", script)], Plan(1, 3, nothing))
        self.assertEqual("".join(order.read_text().split()), "abc" "cba" "abc" "cba")
        self.assertEqual([(result.status, len(result.runs)) for result in found], [("ok", 3)] * 3)

    def test_what_runs_after_itself_is_counted_once_and_never_finds_its_output(self):
        order = self.scratch / "order"
        script = f'printf "%s " "${{0##*/}}" >> {order}; test ! -e "$0" && echo hello > "$0"'
        plan = Plan(1, 3, nothing, how=run_after_itself)
        found = compare([self.side("a", script), self.side("b", script)], plan)
        self.assertEqual("".join(order.read_text().split()), "ab" "bbaa" "aabb" "bbaa")
        self.assertEqual([(result.status, len(result.runs)) for result in found], [("ok", 3)] * 2)

    def test_a_peer_that_is_not_there_is_named_and_the_others_run(self):
        ok = 'echo hello > "$0"'
        found = compare([self.side("a", ok), Absent("aria2c", "aria2c not found"), self.side("c", ok)], Plan(1, 3, nothing))
        self.assertEqual([result.status for result in found], ["ok", "skipped", "ok"])
        self.assertEqual(found[1].why, "aria2c not found")

    def test_a_peer_that_fails_drops_out_with_its_words(self):
        found = compare([self.side("a", 'echo hello > "$0"'), self.side("b", "echo no >&2; exit 3")], Plan(1, 3, nothing))
        self.assertEqual([(result.status, result.why) for result in found], [("ok", ""), ("failed", "b: exit 3: no")])

    def test_an_output_that_is_wrong_fails_and_so_does_none(self):
        found = compare([self.side("a", 'echo hallo > "$0"'), self.side("b", "true")], Plan(1, 3, nothing))
        self.assertEqual([result.why for result in found], ["a: a is not original"] * 2)

    def test_cpu_of_a_process_that_nobody_waited_for_fails_the_run(self):
        peaks = {(1, "dfget"): Peak(100, 0.5), (2, "share"): Peak(100, 0.5)}
        results.check_waited(Watched(peaks, 1.0, 0))
        with self.assertRaisesRegex(RunFailed, "did not wait for all its processes"):
            results.check_waited(Watched(peaks, 0.5, 0))

    def test_cpu_of_a_plugin_that_nobody_waited_for_fails_a_cold_start_too(self):
        peaks = {(1, "dfget"): Peak(100, 0.0025), (2, "d7yfs"): Peak(100, 0.0015)}
        results.check_waited(Watched(peaks, 0.006, 0))
        with self.assertRaisesRegex(RunFailed, "did not wait for all its processes"):
            results.check_waited(Watched(peaks, 0.0035, 0))


class Peers(unittest.TestCase):
    def test_what_a_peer_lacks_is_said(self):
        there = peers.Peers(SimpleNamespace(nginx=None))
        there.found["curl"] = None
        self.assertEqual(there.side(peers.CURL, None, None), Absent("curl", "curl and nginx not found"))

    def test_a_peer_that_makes_files_only_is_named_where_the_output_is_none(self):
        there = peers.Peers(SimpleNamespace(nginx=Mock(program="/nginx"), null=Path("/dev/null")))
        there.found["aria2c"] = "/aria2c"
        found = there.side(peers.ARIA2, Path("/served/big"), Path("/dev/null"))
        self.assertEqual(found, Absent("aria2c -x4 -s4", "it cannot write to /dev/null"))

    def test_another_build_is_asked_for_the_same_with_its_own_plugins(self):
        ours = Side("dfget", ["/a/dfget", "x:///f"], Path("/out"), Path("/f"), {"HOME": "/h", "DFGET_PLUGIN_DIR": "/a"})
        theirs = other_build(ours, Path("/b"))
        self.assertEqual((theirs.name, theirs.argv), ("dfget of /b", ["/b/dfget", "x:///f"]))
        self.assertEqual(theirs.environment, {"HOME": "/h", "DFGET_PLUGIN_DIR": "/b"})

    def test_a_missing_peer_is_named_before_the_table(self):
        versions = peers.Peers(SimpleNamespace(nginx=None)).versions()
        self.assertEqual(versions["nginx"], "not found: the cases that need it are skipped")

    def test_each_target_is_of_a_case_and_a_peer_that_there_are(self):
        there = {(case.key, peer) for case in cases(FULL) for peer in case.peers}
        self.assertLessEqual(targets.RATIOS.keys(), there)
        self.assertLessEqual(targets.SECONDS.keys(), {case.key for case in cases(QUICK)})

    def test_a_quick_run_counts_enough_for_a_ratio(self):
        self.assertTrue(all(case.runs >= 3 for sizes in (QUICK, FULL) for case in cases(sizes)))


class Grounds(unittest.TestCase):
    def ground(self):
        scratch = Path(self.enterContext(tempfile.TemporaryDirectory()))
        programs = scratch / "programs"
        programs.mkdir()
        for name in PLUGINS:
            (programs / name).touch()
        with patch("ground.find_nginx", return_value=None):
            return Ground(QUICK, programs, scratch, contextlib.ExitStack())

    def of_memory(self, ground, name):
        case = Case("memory", "64 MiB by plugin", name, "null", by_share(name), (), 0)
        return results.of_memory(case, sides(case, ground, None)[0])

    def test_memory_of_a_file_for_which_there_is_no_room_is_a_row_that_is_skipped(self):
        ground = self.ground()
        ground.need = Mock(side_effect=NoRoom("1 MiB free"))
        row = self.of_memory(ground, "small")
        self.assertEqual((row["name"], row["status"], row["why"]), ("memory, 64 MiB by plugin", "skipped", "1 MiB free"))

    def test_too_few_inodes_are_no_room(self):
        ground = self.ground()
        ground.need(1, files=0)
        with self.assertRaisesRegex(NoRoom, "inodes free below .*: 1000000000000 are needed"):
            ground.need(1, files=10**12)

    def test_memory_of_a_file_longer_than_the_file_system_takes_is_a_row_that_is_skipped(self):
        ground = self.ground()
        ground.sizes = dataclasses.replace(QUICK, sparse=(1 << 63) - 1)
        self.assertEqual(self.of_memory(ground, "sparse")["why"], "sparse cannot be made: File too large")


class Tables(unittest.TestCase):
    def case(self, counted, status="ok"):
        def result(name, wall):
            runs = [Run(wall, wall)] * counted
            side = SimpleNamespace(name=name, argv=[name])
            return SimpleNamespace(side=side, status=status, why="it is so", warm=[], runs=runs)

        found = [result("dfget", 1.1), result(peers.CURL, 1.0)]
        return results.of_case(Case("plugin to disk", "2 MiB", "big", "output", [], (peers.CURL,), counted), found)

    def document(self, case):
        machine = {"cpu": "a", "cores": 2, "virtual": "kvm", "kernel": "6", "memory_mib": 1, "disk_free_mib": 1, "load": 0}
        machine["filesystem"] = "ext4"
        found = {"started": "today", "mode": "quick", "machine": machine, "programs": {}}
        return {**found, "cases": [case], "memory": [], "flat": None}

    def test_a_target_is_met_or_missed_by_so_much(self):
        wanted = {kind: target["verdict"] for kind, target in self.case(3)["sides"][1]["targets"].items()}
        self.assertEqual(wanted, {"wall": "missed by 10 %", "cpu": "met"})

    def test_a_target_that_is_missed_by_a_hair_is_not_missed_by_nothing(self):
        self.assertEqual(targets.verdict(1.004, 1.0), "missed by 1 %")

    def test_markdown_has_a_line_a_peer(self):
        first, *_, line = markdown.of(self.document(self.case(3))).splitlines()
        machine = "a, 2 cores, virtual machine (kvm), Linux 6, 1 MiB of memory, 1 MiB of disk (ext4) free"
        self.assertEqual(first, machine + "; today, quick run.")
        expected = "| plugin to disk, 2 MiB | curl | 1100 ms | 1000 ms | 1.10 (1.10..1.10) | ≤ 1.0 missed by 10 % "
        self.assertEqual(line, expected + "| 1.10 (1.10..1.10) | ≤ 1.2 met | - | - |")

    def test_each_column_of_markdown_has_a_name_of_its_own_but_the_targets(self):
        names = [name for name in markdown.COLUMNS if name != "target"]
        self.assertEqual(len(set(names)), len(names))

    def test_two_runs_make_neither_a_ratio_nor_a_verdict(self):
        self.assertEqual(self.case(2)["sides"][1]["targets"], {})
        line = markdown.of(self.document(self.case(2))).splitlines()[-1]
        self.assertIn("| too few runs |  | too few runs |  |", line)

    def test_what_is_skipped_keeps_its_line(self):
        line = markdown.of(self.document(self.case(0, "skipped"))).splitlines()[-1]
        self.assertIn("skipped: it is so", line)

    def test_memory_is_flat_by_the_two_largest_files(self):
        alone = [{"case": "memory", "status": "ok", "bytes": size, "host_kib": kib} for size, kib in ((3, 24), (1, 10), (2, 20))]
        rows = [{"case": "memory of a tree", "status": "ok", "bytes": 4, "host_kib": 99}, *alone]
        self.assertEqual(results.flatness(rows)["ratio"], 1.2)
        self.assertEqual(results.flatness(rows)["verdict"], "missed by 9 %")
