# Namespaces, and switches between them. All names end in the script's process id; remove_network removes them all.

namespaces=()

full_name() { echo "ringmaster-$1-$$"; }

# inside NAMESPACE COMMAND...
inside() {
    local name=$1
    shift
    ip netns exec "$(full_name "$name")" "$@"
}

# start_inside NAMESPACE LOG COMMAND...: in the background; its process id is in $started. A function in the background
# would be a shell of its own around the command, and would take the signals meant for it.
start_inside() {
    : >"$2" # at once, not when the command gets to it: whoever waits for its words must not read its predecessor's
    ip netns exec "$(full_name "$1")" "${@:3}" >"$2" 2>&1 &
    started=$!
}

# namespace NAME...: hosts that do not route and accept what comes by another way than it would go.
namespace() {
    local name
    for name in "$@"; do
        ip netns add "$(full_name "$name")"
        namespaces+=("$name")
        ip -n "$(full_name "$name")" link set lo up
        inside "$name" sysctl -qw net.ipv4.ip_forward=0 net.ipv4.conf.all.rp_filter=0 \
            net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.disable_ipv6=1
    done
}

# switch NAME: a namespace with one bridge.
switch() {
    namespace "$1"
    ip -n "$(full_name "$1")" link add br0 type bridge stp_state 0 mcast_snooping 0
    ip -n "$(full_name "$1")" link set br0 up
}

# plug NAMESPACE INTERFACE SWITCH ADDRESS/PREFIX...: a cable from a new interface to a switch. Directors' have two
# queues, over which the switch spreads frames by flow, as a NIC does it. Hosts have one: the queue that a veth device
# sends by is handed on with the frame, and several would meet in one at the director.
plug() {
    local name=$1 interface=$2 switch=$3 queues=1 address
    shift 3
    [[ $name != director && $name != second ]] || queues=2
    ip -n "$(full_name "$name")" link add "$interface" numrxqueues $queues numtxqueues $queues type veth \
        peer name "$name-$interface" netns "$(full_name "$switch")" numrxqueues $queues numtxqueues $queues
    ip -n "$(full_name "$switch")" link set "$name-$interface" master br0 up
    for address in "$@"; do
        ip -n "$(full_name "$name")" addr add "$address" dev "$interface"
    done
    ip -n "$(full_name "$name")" link set "$interface" up
}

# cable NAMESPACE INTERFACE NAMESPACE INTERFACE: joins two hosts directly, by one queue each way.
cable() {
    ip -n "$(full_name "$1")" link add "$2" numrxqueues 1 numtxqueues 1 type veth \
        peer name "$4" netns "$(full_name "$3")" numrxqueues 1 numtxqueues 1
    ip -n "$(full_name "$1")" link set "$2" up
    ip -n "$(full_name "$3")" link set "$4" up
}

# address NAMESPACE INTERFACE ADDRESS/PREFIX
address() { ip -n "$(full_name "$1")" addr add "$3" dev "$2"; }

default_route() { ip -n "$(full_name "$1")" route add default via "$2"; }

# own_vip NAMESPACE VIP: a DR or TUN server takes packets for the VIP, but never claims it on the wire.
own_vip() {
    inside "$1" sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
    ip -n "$(full_name "$1")" addr add "$2/32" dev lo
}

remove_network() {
    local name
    for name in "${namespaces[@]}"; do
        ip netns del "$(full_name "$name")" 2>/dev/null || true
    done
    namespaces=()
}
