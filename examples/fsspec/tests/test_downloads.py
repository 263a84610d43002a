"""Each storage through the real dfget: the same story for all."""
import hashlib
import json
import os
import signal

import pytest
from harness import host as hosts
from harness import tree


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", [tree.LARGE, tree.EMPTY, tree.ODD, "sub/deep/leaf"])
def test_a_file_arrives_as_it_is(storage, host, root, tmp_path, name):
    outcome = host.run(storage.url(name), "-O", tmp_path / "copy", options=storage.options)
    assert (outcome.status, outcome.stderr.count("WARN")) == (0, 0), outcome.stderr
    assert digest(tmp_path / "copy") == digest(root / name)


def test_pieces_make_the_same_file(storage, host, root, tmp_path):
    outcome = host.run(storage.url(tree.LARGE), "-O", tmp_path / "copy", "-n", 4, "--piece-length", "4M", options=storage.options)
    assert (outcome.status, outcome.stderr.count("WARN")) == (0, 0), outcome.stderr
    assert digest(tmp_path / "copy") == digest(root / tree.LARGE)


@pytest.mark.parametrize("wanted, start, end", [("1000000-1000009", 1000000, 1000010), ("6000000-", 6000000, None), ("-7", -7, None)])
def test_a_range_is_that_part_of_the_file(storage, host, root, wanted, start, end, tmp_path):
    outcome = host.run(storage.url(tree.LARGE), f"--range={wanted}", "-O", tmp_path / "part", options=storage.options)
    assert outcome.status == 0, outcome.stderr
    assert (tmp_path / "part").read_bytes() == (root / tree.LARGE).read_bytes()[start:end]


def test_a_range_behind_the_end_is_refused(storage, host, tmp_path):
    outcome = host.run(storage.url("sub/deep/leaf"), "--range=100-", "-O", tmp_path / "part", options=storage.options)
    assert outcome.status == 24, outcome.stderr
    assert "has 5 bytes" in outcome.stderr


def test_a_plugin_that_is_killed_costs_nothing_but_time(storage, host, root, tmp_path):
    run = host.start(storage.url(tree.LARGE), "-O", tmp_path / "copy", "--limit-rate", "8M", "-n", 1, options=storage.options)
    for line in run.stdout:
        if json.loads(line)["event"] == "progress":
            break
    [plugin] = hosts.plugins_running()
    os.kill(plugin, signal.SIGKILL)
    rest, errors = run.communicate(timeout=hosts.LIMIT)
    assert run.returncode == 0, errors
    assert [event["number"] for event in hosts.events(rest) if event["event"] == "plugin_restarted"] == [1]
    # It went on where it was, by the validator.
    assert not [event for event in hosts.events(rest) if event["event"] == "restarted"]
    assert digest(tmp_path / "copy") == digest(root / tree.LARGE)
    assert hosts.plugins_running() == []


def test_what_does_not_exist_is_not_found(storage, host, tmp_path):
    outcome = host.run(storage.url("no/such file"), "-O", tmp_path / "copy", options=storage.options)
    assert outcome.status == 20, outcome.stderr
    assert "no/such file" in outcome.stderr
    assert not (tmp_path / "copy").exists()


def test_a_directory_is_no_file(storage, host, tmp_path):
    outcome = host.run(storage.url("sub"), "-O", tmp_path / "copy", options=storage.options)
    assert outcome.status == 24, outcome.stderr
    assert "is a directory" in outcome.stderr


def test_a_file_is_no_directory(storage, host):
    outcome = host.run("-l", storage.url(tree.LARGE), options=storage.options)
    assert outcome.status == 24, outcome.stderr
    assert "is no directory" in outcome.stderr


def test_a_missing_directory_is_not_listed_as_an_empty_one(storage, host):
    outcome = host.run("-l", storage.url("nowhere"), options=storage.options)
    assert outcome.status == 20, outcome.stderr


@pytest.mark.parametrize("name", ["sftp", "ftp", "vsftpd", "smb"])
def test_wrong_credentials_are_told_and_not_repeated(name, request, host, tmp_path):
    storage = request.getfixturevalue(name)
    outcome = host.run(storage.url(tree.LARGE), "-O", tmp_path / "copy", "-vv", options=storage.wrong)
    assert outcome.status == 21, outcome.stderr
    assert "hunter2" not in outcome.stderr + outcome.stdout


def test_a_tree_arrives_as_it_is(storage, host, root, tmp_path):
    outcome = host.run("-r", storage.url(""), "-O", tmp_path / "copy", options=storage.options)
    assert outcome.status == 0, outcome.stderr
    assert tree.content(tmp_path / "copy") == tree.content(root)


def test_a_tree_that_is_there_is_not_fetched_again(storage, host, root, tmp_path):
    for expected in (tree.MANY + 4, 0):
        outcome = host.run("-r", storage.url(""), "-O", tmp_path / "copy", "--json", options=storage.options)
        assert outcome.status == 0, outcome.stderr
        assert hosts.events(outcome.stdout)[-1]["downloaded"] == expected


def test_a_listing_tells_names_and_lengths(storage, host, root):
    outcome = host.run("-l", storage.url(""), "--json", options=storage.options)
    assert outcome.status == 0, outcome.stderr
    entries = {event["path"]: event for event in hosts.events(outcome.stdout) if event["event"] == "entry"}
    assert {name: entry["length"] for name, entry in entries.items() if not entry["directory"]} == \
        {tree.LARGE: (root / tree.LARGE).stat().st_size, tree.EMPTY: 0}
    assert sorted(name for name, entry in entries.items() if entry["directory"]) == ["a b%20é", "many", "sub"]


def test_a_misspelt_option_is_named(storage, host, tmp_path):
    outcome = host.run(storage.url(tree.LARGE), "-O", tmp_path / "copy", options=storage.options | {"pasword": "hunter2hunter2"})
    assert outcome.status == 24, outcome.stderr
    assert "pasword" in outcome.stderr
    assert "hunter2" not in outcome.stderr


def test_a_wrong_digest_is_noticed(storage, host, tmp_path):
    outcome = host.run(storage.url("sub/deep/leaf"), "-O", tmp_path / "copy", "--digest", "md5:" + "0" * 32, options=storage.options)
    assert outcome.status == 30, outcome.stderr


def test_tls_between_host_and_plugin_makes_no_difference(storage, host, root, tmp_path):
    outcome = host.run(storage.url(tree.LARGE), "-O", tmp_path / "copy", "--plugin-mtls", options=storage.options)
    assert outcome.status == 0, outcome.stderr
    assert digest(tmp_path / "copy") == digest(root / tree.LARGE)


def test_the_plugin_keeps_the_rules_of_the_protocol(storage, host):
    scheme = storage.root.partition(":")[0]
    outcome = host.validate(scheme, storage.url(tree.LARGE), missing=storage.url("no/such file"), empty=storage.url(tree.EMPTY),
                            directory=storage.url(""), options=storage.options)
    assert outcome.status == 0, outcome.stdout + outcome.stderr


def test_the_file_by_its_own_name_serves_what_an_option_says(zipped, host, root, tmp_path):
    url = zipped.url("sub/deep/leaf").replace("zip:", "fsspec:")
    outcome = host.run(url, "-O", tmp_path / "copy", options={"protocol": "zip"})
    assert outcome.status == 0, outcome.stderr
    assert digest(tmp_path / "copy") == digest(root / "sub/deep/leaf")
    assert "the option protocol is required" in host.run(url, "-O", tmp_path / "other").stderr


def test_dfget_lists_a_plugin_for_each_scheme(host):
    outcome = host.run("plugin", "--json")
    assert outcome.status == 0, outcome.stderr
    for scheme in ("fsspec", "ftp", "ftps", "github", "sftp", "smb", "tar", "zip"):
        assert f'"name":"{scheme}"' in outcome.stdout.replace(" ", "")
