# What `go test -v` tells, shortened to what a person wants to see, and the line of numbers at its end. A test that has
# subtests is not counted beside them.
/^=== / { next }
/^ *--- (PASS|FAIL|SKIP): / {
    result[$3] = $2
    for (name = $3; sub(/\/[^\/]*$/, "", name);) { parent[name] = 1 }
    if ($2 == "PASS:") { next }
}
/^(PASS|\?)/ { next }
/^FAIL/ { broken = 1 }
{ print }
END {
    for (name in result) { if (!(name in parent)) { count[result[name]]++ } }
    passed = count["PASS:"] + 0; failed = count["FAIL:"] + 0; skipped = count["SKIP:"] + 0
    # Code that does not compile, or a test program that dies, has no failed test.
    if (broken && failed == 0) { failed = 1 }
    printf "rclone: %d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit (failed > 0 || passed == 0)
}
