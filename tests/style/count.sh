#!/bin/sh
# count.sh - the last line of `make test` counts what failed, also what crashed, hung, never ran or could not be built.
. "$(dirname "$0")/tree.sh"

# counts NAME EXPECTED STATUS BROKEN LOG: the last line and the exit status for that log.
counts() {
    said=$(printf '%s\n' "$5" | awk -v broken="$4" -f "$root/tools/count-tests.awk")
    status=$?
    ok "$1" "$([ "$(echo "$said" | tail -n 1):$status" = "$2:$3" ] || printf 'status %d: %s\n' $status "$said")"
}

good='{"name": "a", "stdout": "1..2\nok 1 - x\nok 2 - y\n", "result": "OK"}'
counts 'points that pass' '2 passed, 0 failed' 0 0 "$good"
counts 'several tests' '4 passed, 0 failed' 0 0 "$good
$good"
counts 'a point that fails' '1 passed, 1 failed' 1 0 \
    '{"name": "a", "stdout": "ok 1 - x\n# a \"quoted\" word\nnot ok 2 - y\n1..2", "result": "ERROR"}'
counts 'a point that is skipped' '1 passed, 0 failed, 1 skipped' 0 0 \
    '{"name": "a", "stdout": "ok 1 - x\nok 2 - y # SKIP no file\n1..2", "result": "OK"}'
counts 'a crash after points that passed' '1 passed, 1 failed' 1 0 \
    '{"name": "a", "stdout": "1..2\nok 1 - x\n", "result": "ERROR"}'
counts 'a test that hangs' '0 passed, 1 failed' 1 0 '{"name": "a", "stdout": "1..2\n", "result": "TIMEOUT"}'
counts 'a test without TAP' '1 passed, 0 failed' 0 0 '{"name": "a", "result": "OK"}'
counts 'a test without TAP that fails' '0 passed, 1 failed' 1 0 '{"name": "a", "result": "FAIL"}'
counts 'a build that failed' '2 passed, 1 failed' 1 1 "$good"
counts 'no test at all' '0 passed, 0 failed' 1 0 ''
table='{"name": "a", "stdout": "ok 1 - x\n# family: conv 12 3 0 1e-05\n", "result": "OK"}
{"name": "b", "stdout": "ok 1 - x\n# family: conv 12 4 1 2e-06\n", "result": "OK"}'
said=$(printf '%s\n' "$table" | awk -v broken=0 -f "$root/tools/count-tests.awk" | grep '^conv' | tr -s ' ')
ok 'the tables of several tests become one' "$([ "$said" = 'conv 12 7 1 1e-05' ] || echo "$said")"
finish
