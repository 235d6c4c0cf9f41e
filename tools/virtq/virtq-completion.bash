# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for virtq: the tool itself knows what may come next; where it
# knows nothing, bash completes file names.

_virtq() {
    local word
    local -a words=()

    # bash makes three words of --option=value
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        [ "$word" = "=" ] || words+=("$word")
    done
    [ "${COMP_WORDS[COMP_CWORD]}" != "=" ] || words+=("")

    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$(printf '%q' "$word")")
    done < <("$1" complete -- "${words[@]}" 2>/dev/null)
}

complete -o default -F _virtq virtq
