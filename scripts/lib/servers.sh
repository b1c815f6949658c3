# Real servers: one nginx a namespace, with nothing of the system's nginx but the program. Files go below $work.

# start_server NAME DIRECTIVE...: answers "NAME CLIENT-ADDRESS" to every request, and the files of $work/www/files.
start_server() {
    local name=$1 home=$work/$1
    mkdir -p "$home"
    ln -sfn "$work/www" "$home/www"
    cp tests/support/nginx.conf "$home"
    printf '%s\n' "set \$name \"$name\";" "${@:2}" >"$home/name.conf"
    quietly inside "$name" nginx -p "$home/" -e "$home/error.log" -c "$home/nginx.conf"
}

stop_server() {
    local pid
    pid=$(cat "$work/$1/nginx.pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    wait_until 50 "$1 is gone" not kill -0 "$pid"
}

# start_tunnel NAME: what arrives as IPIP is unpacked. Uses the kernel's ipip device where there is one.
start_tunnel() {
    if inside "$1" ip link add tunl1 type ipip local any 2>/dev/null; then
        inside "$1" ip link set tunl1 up
        return
    fi
    start_inside "$1" "$work/$1-tunnel.log" "$decapsulate" tunl1
    helpers+=("$started")
    wait_until 50 "tunnel of $1 is up" inside "$1" ip link show up dev tunl1
}

# end_process PID: asks it to end, and insists after five seconds.
end_process() {
    kill "$1" 2>/dev/null || return 0
    local tenths=50
    while kill -0 "$1" 2>/dev/null && [ "$((tenths--))" -gt 0 ]; do sleep 0.1; done
    kill -9 "$1" 2>/dev/null || true
}

# wait_until TENTHS WHAT COMMAND...
wait_until() {
    local tenths=$1 what=$2
    shift 2
    while ! "$@" &>/dev/null; do
        [ "$((tenths--))" -gt 0 ] || fail "waited in vain: $what"
        sleep 0.1
    done
}

not() { ! "$@"; }
