# Two directors, of which one goes: how long clients notice. What scripts/demo ha shows.
# shellcheck disable=SC2154  # vip, servers, work, ringmaster and started are of the files that are sourced beside this

gateway=10.0.0.254     # of the servers; goes with the VIP
hosts=(director second) # where directors run; the first has the higher priority
declare -A running     # host: the processes of what runs there, the one to be asked first
declare -A outages     # "PROGRAM INTERVAL EVENT": milliseconds
broken=()              # downloads that did not arrive, by the same names

show_takeovers() {
    local interval program
    mkdir -p "$work/www/files"
    head -c 24M /dev/urandom >"$work/www/files/24M"
    for interval in 1 0.1; do
        for program in ringmaster keepalived; do
            heading "$program, adverts every $interval s"
            [ "$program" = ringmaster ] || prepare_kernel_forwarding
            start_pair "$program" "$interval"
            measure "$program" "$interval" stopped end_director
            measure "$program" "$interval" "back" return_director
            [ "$program" = keepalived ] || measure "$program" "$interval" crashed crash_director
            measure "$program" "$interval" killed kill_director
            measure "$program" "$interval" "back " return_director
            measure "$program" "$interval" "cut off" cut_director
            measure "$program" "$interval" "back  " mend_director
            end_pair
            [ "$program" = ringmaster ] || remove_kernel_forwarding
        done
    done
    heading "ringmaster, adverts every 1 s, BFD every 50 ms"
    note "the directors watch each other: three packets missed is dead"
    start_pair ringmaster 1 bfd
    measure ringmaster bfd killed kill_director
    measure ringmaster bfd "back" return_director
    measure ringmaster bfd "cut off" cut_director
    end_pair
    plug_in_director
    show_outages
}

# What keepalived's kernel does without IPVS: address translation by netfilter, a client always to the same server. Its
# connections are known to one host only; conntrackd is not part of this.
prepare_kernel_forwarding() {
    note "forwarding by the kernel: nftables in place of IPVS, which not every kernel has"
    local host
    for host in "${hosts[@]}"; do
        inside "$host" sysctl -qw net.ipv4.ip_forward=1
        inside "$host" nft -f - <<EOF
table ip balance {
    chain in {
        type nat hook prerouting priority dstnat
        ip daddr $vip tcp dport 80 dnat to jhash ip saddr mod 3 map { 0: ${servers[0]}, 1: ${servers[1]}, 2: ${servers[2]} }
    }
}
EOF
    done
}

remove_kernel_forwarding() {
    local host
    for host in "${hosts[@]}"; do
        inside "$host" sysctl -qw net.ipv4.ip_forward=0
        inside "$host" nft delete table ip balance
    done
}

start_pair() {
    launch second "$@"
    launch director "$@"
    wait_until 200 "the first director is master" holds director second
    sleep 1 # the last of the announcements, and of what the two have to tell each other
}

end_pair() {
    local host
    for host in "${hosts[@]}"; do end_processes "$host"; done
    rm -f "$work"/*.pid
}

# launch HOST PROGRAM INTERVAL [bfd]
launch() {
    local host=$1 log=$work/$1.log
    election "$@" >"$work/$host.conf"
    case $2 in
        ringmaster) start_inside "$host" "$log" "$ringmaster" run -f "$work/$host.conf" ;;
        keepalived)
            start_inside "$host" "$log" keepalived -P -n -l -D -f "$work/$host.conf" \
                -p "$work/$host.pid" -r "$work/$host.vrrp.pid"
            ;;
    esac
    running[$host]=$started
    program=$2 interval=$3 bfd=${4:-}
}

# election HOST PROGRAM INTERVAL [bfd]: the configuration. The services are ringmaster's alone: keepalived would want IPVS.
election() {
    local priority=100 peer=198.51.100.1 at
    [ "$1" != director ] || priority=150 peer=198.51.100.2
    [ -z "${4:-}" ] || printf '%s\n' "bfd_instance peer {" "    neighbor_ip $peer" "    min_rx 50" "    min_tx 50" \
        "    multiplier 3" "}"
    [ "$2" != ringmaster ] || printf '%s\n' "global_defs {" "    lvs_sync_daemon eth1 VI_1" "}"
    cat <<EOF
vrrp_instance VI_1 {
    state BACKUP
    version 3
    advert_int $3
    interface eth0
    virtual_router_id 51
    priority $priority
    virtual_ipaddress {
        $vip/24
    }
    virtual_ipaddress_excluded {
        $gateway/24 dev eth1
    }
}
EOF
    [ "$2" = ringmaster ] || return 0
    echo "virtual_server $vip 80 {"
    printf '    %s\n' "lb_algo rr" "lb_kind NAT" "protocol TCP"
    for at in "${servers[@]}"; do printf '    %s\n' "real_server $at 80 {" "}"; done
    echo "}"
    printf '%s\n' "ringmaster {" "    socket $work/$1.sock" "    sync_key known-to-both-directors" "}"
}

# holds HOST OTHER: whether the VIP is on HOST and not on OTHER.
holds() { has_vip "$1" && ! has_vip "$2"; }

has_vip() { [[ $(inside "$1" ip -o address show) == *" $vip/"* ]]; }

end_director() {
    end_processes director
    wait_until 100 "the second director is master" has_vip second
}

# The director alone: its supervisor has another one go on.
crash_director() {
    local supervisor=${running[director]} before children
    before=$(times_ready)
    # The oldest of them; the other one is the spare.
    read -ra children <<<"$(cat "/proc/$supervisor/task/$supervisor/children")"
    kill -9 "${children[0]}"
    wait_until 100 "the next director goes on" is_ready_again "$before"
}

times_ready() { grep -c 'ready:' "$work/director.log" || true; }

is_ready_again() { [ "$(times_ready)" -gt "$1" ]; }

# Nothing can be said any more, nor cleaned up: the processes are gone at once.
kill_director() {
    # At once, or keepalived's parent would start another child, or the child say goodbye for its parent.
    # shellcheck disable=SC2046
    kill -9 $(processes director)
    wait "${running[director]}" 2>/dev/null || true # or the shell would report it
    unset 'running[director]'
    wait_until 100 "the second director is master" has_vip second
}

return_director() {
    # What a killed keepalived has left behind would keep the next one from noticing that it is not master.
    [ "$program" = ringmaster ] || inside director ip address del "$vip/24" dev eth0 2>/dev/null || true
    [ "$program" = ringmaster ] || inside director ip address del "$gateway/24" dev eth1 2>/dev/null || true
    rm -f "$work"/director*.pid
    launch director "$program" "$interval" "$bfd"
    wait_until 200 "the first director is master again" holds director second
}

plug_in_director() { ip -n "$(full_name front)" link set director-eth0 up; }

cut_director() {
    ip -n "$(full_name front)" link set director-eth0 down
    wait_until 100 "the second director is master" has_vip second
}

mend_director() {
    plug_in_director
    wait_until 200 "the first director is master again" holds director second
}

# processes HOST: what was started there, and what that has started.
processes() {
    local pid=${running[$1]:-}
    [ -z "$pid" ] || { echo "$pid" && cat "/proc/$pid/task/$pid/children"; }
}

end_processes() {
    local pid=${running[$1]:-}
    [ -z "$pid" ] || { end_process "$pid" && wait "$pid" 2>/dev/null; } || true
    unset "running[$1]"
}

# measure PROGRAM INTERVAL EVENT COMMAND: pings and downloads through the VIP while COMMAND brings the event about.
measure() {
    local name="$1 $2 $3" ping download gap stall
    start_inside client "$work/ping.log" ping -D -n -i 0.01 -W 1 "$vip"
    ping=$started
    start_inside client "$work/download.log" perl -MTime::HiRes=time -e "$slow_reader" "$vip" /files/24M "$work/copy"
    download=$started
    sleep 1
    "$4"
    sleep 1
    kill -INT "$ping" && wait "$ping" || true
    gap=$(longest_gap <"$work/ping.log")
    outages[$name]=$gap
    stall=broke
    if wait "$download" && cmp -s "$work/copy" "$work/www/files/24M"; then
        stall="stood still for $(cat "$work/download.log") ms"
    else
        broken+=("$name")
    fi
    printf '  %-10s ping: %s%5d ms%s   download: %s\n' "$3" "$green" "$gap" "$plain" "$stall"
}

# Fetches a file at 6 MB/s, so that it takes some seconds, and says how long the longest pause between its parts was.
# shellcheck disable=SC2016
slow_reader='
use IO::Socket::INET;
my ($vip, $path, $copy) = @ARGV;
my $from = IO::Socket::INET->new(PeerAddr => $vip, PeerPort => 80, Timeout => 5) or die "no connection: $!\n";
print $from "GET $path HTTP/1.0\r\nHost: demo\r\n\r\n";
open(my $to, ">", $copy) or die "$copy: $!\n";
my ($all, $longest, $last, $began, $bytes) = ("", 0, time, time, 0);
$SIG{ALRM} = sub { die "nothing for 20 s\n" };
while (1) {
    alarm 20;
    my $got = sysread($from, my $part, 1 << 16);
    die "$!\n" unless defined $got;
    last unless $got;
    my $now = time;
    $longest = $now - $last if $now - $last > $longest;
    $all .= $part;
    $bytes += $got;
    my $ahead = $bytes / 6e6 - ($now - $began);
    select(undef, undef, undef, $ahead) if $ahead > 0;
    $last = time;
}
$all =~ s/^.*?\r\n\r\n//s;
print $to $all;
printf "%.0f", $longest * 1000;
'

# longest_gap: of a ping log with times, milliseconds between two answers.
longest_gap() {
    awk '/bytes from/ { at = substr($1, 2) * 1000; if (last && at - last > longest) longest = at - last; last = at }
        END { printf "%.0f\n", longest }'
}

show_outages() {
    local event
    heading "Longest time without an answer to ping, in ms"
    printf '  %-10s %26s   %26s   %12s\n' "" "adverts every 1 s" "adverts every 0.1 s" "1 s and BFD"
    printf '  %-10s %13s%13s   %13s%13s   %12s\n' "" ringmaster keepalived ringmaster keepalived ringmaster
    for event in stopped "back" crashed killed "back " "cut off" "back  "; do
        printf '  %-10s %s%13s%s%13s   %s%13s%s%13s   %s%12s%s\n' "$event" \
            "$green" "${outages[ringmaster 1 $event]}" "$plain" "${outages[keepalived 1 $event]:--}" \
            "$green" "${outages[ringmaster 0.1 $event]}" "$plain" "${outages[keepalived 0.1 $event]:--}" \
            "$green" "${outages[ringmaster bfd $event]:-}" "$plain"
    done
    note "Crashed is the director alone (kill -9): the one that its supervisor has ready goes on, and the role stays."
    note "Killed are all processes at once."
    note "A killed process leaves its addresses behind, and its kernel goes on to answer pings until it is replaced;"
    note "the download shows how long it took."
    heading "Downloads"
    expect "through ringmaster every one arrived unchanged, unless its master was killed" "$(breaks ringmaster | grep -vc killed)" 0
    note "of three while the master was killed, $(breaks ringmaster | wc -l) broke: its kernel resets whoever speaks before the takeover"
    note "through keepalived $(breaks keepalived | wc -l) of twelve broke: address translation of netfilter is not synchronised"
}

breaks() { printf '%s\n' "${broken[@]}" | grep "^$1" || true; }
