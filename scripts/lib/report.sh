# What the scripts print: headings, facts, bars. Plain text unless standard output is a terminal.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' faint=$'\e[2m' plain=$'\e[0m'
else
    bold='' green='' red='' faint='' plain=''
fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

note() { printf '  %s\n' "$*"; }

# Shows the standard input as it is, set apart.
quote() { sed "s/^/  $faint|$plain /"; }

# Says on standard error what is wrong, and ends the script.
fail() {
    printf '%sfailed:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

# expect WHAT ACTUAL WANTED: a check that the reader can follow.
expect() {
    [ "$2" = "$3" ] || fail "$1: expected $3, found $2"
    printf '  %sok%s  %s\n' "$green" "$plain" "$1"
}

# bar LABEL COUNT LARGEST: one line of a bar chart, 40 characters at most.
bar() {
    local width=$(($3 > 0 ? $2 * 40 / $3 : 0)) line
    printf -v line '%*s' "$width" ''
    printf '  %-10s %4d %s%s%s\n' "$1" "$2" "$green" "${line// /#}" "$plain"
}

# Runs a command and shows what it said only if it fails.
quietly() {
    local output
    if ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" >&2
        fail "$*"
    fi
}
