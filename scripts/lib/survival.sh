# One director that is killed and upgraded under traffic: what clients notice. What scripts/demo survive shows.
# shellcheck disable=SC2154  # vip, servers, work, ringmaster and started are of the files that are sourced beside this

kills=${KILLS:-50}
upgrades=5
declare -A measured # "PROGRAM FACT": what came of it
# Three servers, one for each third of clients, as netfilter spreads them.
spread='jhash ip saddr . th sport mod 3 map'

topology_survive() { topology_nat; }

# What measures must not wait for a machine that does other things: then it would measure those.
first=()
! chrt --fifo 1 true 2>/dev/null || first=(chrt --fifo 1)

show_survival() {
    control=$work/ringmaster.sock
    head -c 8M /dev/urandom >"$work/www/files/8M"
    local at
    for at in 1 2 3; do
        start_inside "server-$at" "$work/echo-$at.log" "${first[@]}" perl -MIO::Socket::INET -e "$echo_server"
        helpers+=("$started")
    done
    heading "ringmaster, killed $kills times and upgraded $upgrades times"
    write_service >"$work/keepalived.conf"
    start_director
    begin_clients
    try_ringmaster
    end_clients ringmaster
    end_process "$director" && director=''

    heading "keepalived over netfilter, killed $kills times"
    say_what_is_compared
    write_instance >"$work/keepalived.conf"
    start_netfilter
    start_keepalived
    wait_until 100 "keepalived is master" has_vip director
    begin_clients
    try_keepalived
    end_clients keepalived
    show_damage
}

write_instance() {
    echo "vrrp_instance VI_1 {"
    printf '    %s\n' "state MASTER" "interface eth0" "virtual_router_id 51" "priority 255" \
        "virtual_ipaddress {" "    $vip" "}"
    echo "}"
}

write_service() {
    local port protocol at
    write_instance
    for port in 80:TCP 7:UDP; do
        protocol=${port#*:}
        echo "virtual_server $vip ${port%:*} {"
        printf '    %s\n' "lb_algo rr" "lb_kind NAT" "protocol $protocol"
        for at in "${servers[@]}"; do printf '    %s\n' "real_server $at ${port%:*} {" "}"; done
        echo "}"
    done
    printf '%s\n' "ringmaster {" "    socket $control" "}"
}

# Who forwards when keepalived has nothing to do with packets. Its kernel goes on, whoever dies.
start_netfilter() {
    inside director sysctl -qw net.ipv4.ip_forward=1
    inside director nft -f - <<EOF
table ip balance {
    chain in {
        type nat hook prerouting priority dstnat
        ip daddr $vip tcp dport 80 dnat to $spread { 0: ${servers[0]}, 1: ${servers[1]}, 2: ${servers[2]} }
        ip daddr $vip udp dport 7 dnat to $spread { 0: ${servers[0]}, 1: ${servers[1]}, 2: ${servers[2]} }
    }
}
EOF
}

say_what_is_compared() {
    modprobe ip_vs 2>/dev/null || true
    if [ -e /proc/net/ip_vs ]; then
        note "this kernel has IPVS; compared is address translation by netfilter all the same, which dies with nobody either"
    else
        note "this kernel has no IPVS (ip_vs cannot be loaded), so that netfilter translates addresses in its place"
    fi
    note "the kernel forwards whoever dies; what dies with keepalived is who holds the address and says so"
}

try_ringmaster() {
    local fault last
    for ((fault = 1; fault <= kills; fault++)); do
        last=$(director_process)
        date +%s.%N >>"$work/faults"
        kill -9 "$last" 2>/dev/null || true # it may be gone already
        wait_until 100 "another director follows" followed "$last"
        progress "$fault" "$kills"
        # One that lives shorter is taken for one that cannot live.
        sleep 1.1
        if [ $((fault % (kills / upgrades))) -eq 0 ]; then
            date +%s.%N >>"$work/faults"
            quietly "$ringmaster" upgrade --socket "$control" "$(realpath "$ringmaster")"
            # A new program that lives shorter is taken back.
            sleep 3.1
        fi
    done
}

# Killed with its child, and started again at once, as systemd would: killed alone, the child comes back later each time.
try_keepalived() {
    local fault
    for ((fault = 1; fault <= kills; fault++)); do
        date +%s.%N >>"$work/faults"
        kill -9 "$director" "$(keepalived_child)" 2>/dev/null || true
        wait "$director" 2>/dev/null || true # or the shell would report it
        rm -f "$work"/keepalived*.pid
        start_keepalived
        wait_until 100 "keepalived has a child" has_child
        progress "$fault" "$kills"
        sleep 1.1
    done
}

start_keepalived() {
    start_inside director "$work/keepalived.log" keepalived -P -n -l -D -f "$work/keepalived.conf" \
        -p "$work/keepalived.pid" -r "$work/keepalived.vrrp.pid"
    director=$started
}

has_child() { [ -n "$(keepalived_child)" ]; }

director_process() { "$ringmaster" status --json --socket "$control" 2>/dev/null | sed -n 's/.*"process":\([0-9]*\).*/\1/p'; }

keepalived_child() { cut -d ' ' -f 1 "/proc/$director/task/$director/children"; }

# followed PROCESS: whether another director answers.
followed() {
    local now
    now=$(director_process)
    [ -n "$now" ] && [ "$now" != "$1" ]
}

# progress DONE ALL: one line that grows, for people.
progress() { [ ! -t 1 ] || printf '\r  %3d of %d' "$@"; }

# A ping and a numbered echo every 10 ms, a new connection every 20 ms, and one download after the other.
begin_clients() {
    rm -f "$work/faults" "$work/enough"
    start_inside client "$work/ping.log" "${first[@]}" ping -D -n -i 0.01 -W 1 "$vip"
    pinging=$started
    start_inside client "$work/echo.log" "${first[@]}" perl -MIO::Socket::INET -MTime::HiRes=time -e "$echo_client" "$vip"
    echoing=$started
    start_inside client "$work/visits.log" "${first[@]}" perl -MIO::Socket::INET -MTime::HiRes=time,sleep -e "$visitor" "$vip"
    visiting=$started
    download_on >"$work/downloads.log" 2>&1 &
    downloading=$!
    helpers+=("$pinging" "$echoing" "$visiting" "$downloading")
    sleep 1
}

# One line a download, until there is a file $work/enough.
download_on() {
    while [ ! -e "$work/enough" ]; do
        if inside client curl --silent --show-error --fail --limit-rate 4M --max-time 60 -o "$work/copy" "http://$vip/files/8M" &&
            cmp -s "$work/copy" "$work/www/files/8M"; then
            echo unchanged
        else
            echo broke
        fi
    done
}

# end_clients PROGRAM: stops them, and takes down what they met.
end_clients() {
    local count failed longest
    touch "$work/enough"
    kill -INT "$pinging" && wait "$pinging" || true
    kill "$echoing" "$visiting" && wait "$echoing" "$visiting" || true
    wait "$downloading"
    progress_done
    # Half a second before a fault there is none: so long the machine keeps everybody waiting.
    measured[$1 calm]=$(awk '{ printf "%.6f\n", $1 - 0.5 }' "$work/faults" | gaps /dev/stdin 0.4 "$work/echo.log")
    measured[$1 gaps]=$(gaps "$work/faults" 1 "$work/echo.log")
    measured[$1 lost]=$(awk '/^sent/ { sent = $2; next } { got++ } END { print sent - got }' "$work/echo.log")
    measured[$1 sent]=$(awk '/^sent/ { print $2 }' "$work/echo.log")
    measured[$1 ping]=$(longest_gap <"$work/ping.log")
    measured[$1 pings]=$(awk '/packets transmitted/ { print $1 - $4 }' "$work/ping.log")
    read -r count failed longest <"$work/visits.log"
    measured[$1 visits]=$count measured[$1 failed]=$failed measured[$1 slowest]=$longest
    measured[$1 downloads]=$(grep -c unchanged "$work/downloads.log" || true)
    measured[$1 broke]=$(grep -c broke "$work/downloads.log" || true)
}

progress_done() { [ ! -t 1 ] || printf '\r%20s\r' ""; }

# gaps MOMENTS LENGTH LOG: of a log of answers (a time and a number each), how long none came in the time of this length after
# each moment: "MEDIAN WORST" in ms.
gaps() {
    awk -v "length_=$2" 'NR == FNR { fault[++faults] = $1; next }
        /^sent/ { next }
        { at[++answers] = $1 }
        END {
            next_one = 1
            for (number = 1; number <= faults; number++) {
                longest = 0
                while (next_one < answers && at[next_one] < fault[number] - 0.02) next_one++
                for (i = next_one; i < answers && at[i] < fault[number] + length_; i++)
                    if (at[i + 1] - at[i] > longest) longest = at[i + 1] - at[i]
                printf "%.1f\n", longest * 1000
            }
        }' "$1" "$3" | sort -n | awk '{ gap[NR] = $1 } END { print gap[int((NR + 1) / 2)], gap[NR] }'
}

show_damage() {
    heading "What clients noticed"
    printf '  %-38s %14s %14s\n' "" ringmaster keepalived
    row "echo: median silence about a fault, ms" "${measured[ringmaster gaps]% *}" "${measured[keepalived gaps]% *}"
    row "echo: longest silence, ms" "${measured[ringmaster gaps]#* }" "${measured[keepalived gaps]#* }"
    row "echo: the same without a fault, ms" "${measured[ringmaster calm]% *}" "${measured[keepalived calm]% *}"
    row "echo: packets sent" "${measured[ringmaster sent]}" "${measured[keepalived sent]}"
    row "echo: packets lost" "${measured[ringmaster lost]}" "${measured[keepalived lost]}"
    row "ping of the VIP: longest silence, ms" "${measured[ringmaster ping]}" "${measured[keepalived ping]}"
    row "ping of the VIP: packets lost" "${measured[ringmaster pings]}" "${measured[keepalived pings]}"
    row "new connections" "${measured[ringmaster visits]}" "${measured[keepalived visits]}"
    row "new connections that failed" "${measured[ringmaster failed]}" "${measured[keepalived failed]}"
    row "slowest of them, ms" "${measured[ringmaster slowest]}" "${measured[keepalived slowest]}"
    row "downloads that arrived unchanged" "${measured[ringmaster downloads]}" "${measured[keepalived downloads]}"
    row "downloads that did not" "${measured[ringmaster broke]}" "${measured[keepalived broke]}"
    note "An echo goes out every 10 ms: that is the silence on a machine that has time for everybody."
    heading "The promise"
    expect "no connection was refused, reset or left alone" "${measured[ringmaster failed]}" 0
    expect "every download arrived unchanged" "${measured[ringmaster broke]}" 0
}

row() { printf '  %-38s %s%14s%s %14s\n' "$1" "$green" "$2" "$plain" "$3"; }

# shellcheck disable=SC2016
echo_server='
my $socket = IO::Socket::INET->new(LocalPort => 7, Proto => "udp") or die "$!\n";
while (my $from = $socket->recv(my $text, 64)) { $socket->send($text, 0, $from) }
'

# Sends a number every 10 ms and tells when it came back, until told to end.
# shellcheck disable=SC2016
echo_client='
my $socket = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => 7, Proto => "udp") or die "$!\n";
my ($end, $number, $next) = (0, 0, time);
$SIG{TERM} = sub { $end ||= time + 1 };
while (!$end || time < $end) {
    if (!$end && time >= $next) { $socket->send(++$number); $next += 0.01 }
    my $left = $next - time;
    my $readable = "";
    vec($readable, fileno($socket), 1) = 1;
    if (select($readable, undef, undef, $end ? 0.1 : $left > 0 ? $left : 0) > 0) {
        defined $socket->recv(my $text, 64) and printf "%.6f %d\n", time, $text;
    }
}
print "sent $number\n";
'

# Asks for a page every 20 ms, by a connection each, until told to end; then tells how often, how often in vain, and how
# long the slowest took in ms.
# shellcheck disable=SC2016
visitor='
my ($end, $count, $failed, $slowest) = (0, 0, 0, 0);
$SIG{TERM} = sub { $end = 1 };
while (!$end) {
    my $begin = time;
    $count++;
    my $page = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => 80, Timeout => 5);
    my $answer = "";
    if ($page) {
        print $page "GET / HTTP/1.0\r\nHost: demo\r\n\r\n";
        local $/;
        $answer = <$page> // "";
    }
    $failed++ unless $answer =~ /server-[123]/;
    $slowest = time - $begin if time - $begin > $slowest;
    sleep 0.02;
}
printf "%d %d %.0f\n", $count, $failed, $slowest * 1000;
'
