#!/bin/sh
# manual.sh - manual pages and completion say what the commands take, in words that their readers accept.
. "$(dirname "$0")/cli.sh"

run manual
exits 2 'nothing asked for'
run manual html
exits 2 'a form that is none'
says talk 'man \[COMMAND\], bash, zsh or fish' 'names those there are'
run manual man nonsense
exits 2 'a command that is none'

commands=$("$tenrec" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^tenrec$')
for command in $commands; do
    run manual man "$command"
    mv out page
    "$tenrec" help "$command" >help
    missing=$(sed -n 's/^ *\(-[a-z], \)*\(--[a-z-]*\).*/\2/p' help | while read -r option; do
        sed 's/\\-/-/g' page | grep -q -e "$option" || echo "$option"
    done)
    ok "the page of $command has every option" "$missing"
    if command -v groff >/dev/null; then
        ok "groff reads the page of $command" "$(groff -man -Tutf8 -ww -z page 2>&1)"
    else
        skip "groff reads the page of $command" 'needs groff'
    fi
done

run manual bash
ok 'bash reads its completion' "$(bash -n out 2>&1)"
printf '%s\n' '. ./out' 'COMP_WORDS=(tenrec score --for) COMP_CWORD=2' _tenrec 'echo "${COMPREPLY[*]}"' >ask
is 'bash completes an option' "$(bash ask)" '--format'
printf '%s\n' '. ./out' 'COMP_WORDS=(tenrec score --format j) COMP_CWORD=3' _tenrec 'echo "${COMPREPLY[*]}"' >ask
is 'bash completes a choice' "$(bash ask)" 'jsonl'
for shell in zsh fish; do
    run manual $shell
    if command -v $shell >/dev/null; then
        ok "$shell reads its completion" "$($shell -n out 2>&1)"
    else
        skip "$shell reads its completion" "needs $shell"
    fi
done
finish
