# The three textbook networks, and one with two directors. Each sets vip, clients (addresses of the one client host) and servers (addresses).
# shellcheck disable=SC2034  # the variables are for the script that sources this

# Client and servers on networks of their own; the way between them leads through the director.
topology_nat() {
    vip=10.0.0.100
    clients=(198.51.100.{11..16})
    servers=(10.0.0.22 10.0.0.23 10.0.0.24)
    cat <<'PICTURE'
  client 198.51.100.11-16 --- 198.51.100.1 director 10.0.0.1 --+-- server-1 10.0.0.22
                              VIP 10.0.0.100                   +-- server-2 10.0.0.23
                                                               +-- server-3 10.0.0.24
PICTURE
    switch front
    switch back
    namespace client director server-1 server-2 server-3
    plug client eth0 front "${clients[@]/%//24}"
    plug director eth0 front 198.51.100.1/24
    plug director eth1 back 10.0.0.1/24
    default_route client 198.51.100.1
    local at
    for at in 1 2 3; do
        plug "server-$at" eth0 back "${servers[at - 1]}/24"
        default_route "server-$at" 10.0.0.1
    done
}

# The same with two directors. The VIP lies among the clients; it and the servers' gateway belong to the master.
topology_ha() {
    vip=198.51.100.100
    clients=(198.51.100.{11..16})
    servers=(10.0.0.22 10.0.0.23 10.0.0.24)
    cat <<'PICTURE'
                                +-- 198.51.100.1 director 10.0.0.1 --+
  client 198.51.100.11-16 --+---+   VIP 198.51.100.100, 10.0.0.254   +--+-- server-1 10.0.0.22
                                +-- 198.51.100.2  second  10.0.0.2 --+  +-- server-2 10.0.0.23
                                                                        +-- server-3 10.0.0.24
PICTURE
    switch front
    switch back
    namespace client director second server-1 server-2 server-3
    plug client eth0 front "${clients[@]/%//24}"
    local at host last=1
    for host in director second; do
        plug "$host" eth0 front "198.51.100.$last/24"
        plug "$host" eth1 back "10.0.0.$last/24"
        last=2
    done
    for at in 1 2 3; do
        plug "server-$at" eth0 back "${servers[at - 1]}/24"
        default_route "server-$at" 10.0.0.254
    done
}

# All on one segment; servers hold the VIP silently and answer the client themselves.
topology_dr() {
    vip=192.168.146.100
    clients=(192.168.146.{11..16})
    servers=(192.168.146.101 192.168.146.102 192.168.146.103)
    cat <<'PICTURE'
  client 192.168.146.11-16 --+-- director 192.168.146.1
                             |   VIP 192.168.146.100
                             +-- server-1 192.168.146.101, server-2 .102, server-3 .103: VIP on lo
PICTURE
    switch segment
    namespace client director server-1 server-2 server-3
    plug client eth0 segment "${clients[@]/%//24}"
    plug director eth0 segment 192.168.146.1/24
    local at
    for at in 1 2 3; do
        plug "server-$at" eth0 segment "${servers[at - 1]}/24"
        own_vip "server-$at" "$vip"
    done
}

# Servers behind a router: packets reach them in IPIP; they answer the client themselves.
topology_tun() {
    vip=192.168.146.100
    clients=(192.168.146.{11..16})
    servers=(172.16.20.11 172.16.20.12 172.16.20.13)
    cat <<'PICTURE'
  client 192.168.146.11-16 --+-- director 192.168.146.1
                             |   VIP 192.168.146.100
                             +-- 192.168.146.254 router 172.16.20.1 --+-- server-1 172.16.20.11
                                                                      +-- server-2 172.16.20.12
                                                  VIP on lo of all    +-- server-3 172.16.20.13
PICTURE
    switch front
    switch far
    namespace client director router server-1 server-2 server-3
    plug client eth0 front "${clients[@]/%//24}"
    plug director eth0 front 192.168.146.1/24
    plug router eth0 front 192.168.146.254/24
    plug router eth1 far 172.16.20.1/24
    inside router sysctl -qw net.ipv4.ip_forward=1
    default_route director 192.168.146.254
    local at
    for at in 1 2 3; do
        plug "server-$at" eth0 far "${servers[at - 1]}/24"
        default_route "server-$at" 172.16.20.1
        own_vip "server-$at" "$vip"
    done
}
