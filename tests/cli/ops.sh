#!/bin/sh
# ops.sh - tenrec ops lists the operators, and docs/operators.md is what it says.
docs=$(cd "$(dirname "$0")/../../docs" && pwd)
. "$(dirname "$0")/cli.sh"

run ops
exits 0 'the list'
says out '^Conv +ONNX +core .*reference +grad +float' 'has domain, tier, kernels, gradient and types'
says out '^Attention +ONNX +composite' 'has composite operators'
run ops Resize
says out 'coordinate_transformation_mode +string' 'one operator, with its attributes'
run ops Resise
exits 2 'a misspelt name'
says talk 'did you mean "Resize"' 'gets a suggestion'
run ops Conv --json
says out '"family": "conv"' 'JSON'
run ops --markdown
ok 'docs/operators.md is current (tenrec ops --markdown makes it)' "$(diff "$docs/operators.md" out | head -5)"
finish
