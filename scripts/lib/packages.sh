# Installs what a fresh Debian 12 with git and a Rust toolchain lacks, and nothing that is there.

# xsk-rs compiles libxdp and libbpf from source, and libxdp's and our own XDP programs with clang.
build_packages=(build-essential pkg-config m4 clang llvm libclang-dev libelf-dev zlib1g-dev)

# COMMAND:PACKAGE. A command that is there is good enough, whatever package it came from.
lab_tools=(ip:iproute2 nginx:nginx-light vsftpd:vsftpd curl:curl tcpdump:tcpdump nft:nftables ethtool:ethtool
    keepalived:keepalived ping:iputils-ping sysctl:procps setpriv:util-linux)

# Another candidate in elections.
peer_tools=(keepalived:keepalived perl:perl)

# What the director is compared with.
compare_tools=(dpdk-testpmd:dpdk-dev dpdk-testpmd:librte-net-af-xdp23 dpdk-testpmd:librte-mempool-ring23 wrk:wrk taskset:util-linux)

# need_packages build|lab|peer|compare ...
need_packages() {
    local group missing=()
    for group in "$@"; do
        case $group in
            build) mapfile -t -O "${#missing[@]}" missing < <(missing_build_packages) ;;
            lab) mapfile -t -O "${#missing[@]}" missing < <(missing_tools "${lab_tools[@]}") ;;
            peer) mapfile -t -O "${#missing[@]}" missing < <(missing_tools "${peer_tools[@]}") ;;
            compare) mapfile -t -O "${#missing[@]}" missing < <(missing_tools "${compare_tools[@]}") ;;
        esac
    done
    [ "${#missing[@]}" -eq 0 ] && return
    [ "$(id -u)" -eq 0 ] || fail "missing packages; as root: apt-get install ${missing[*]}"
    command -v apt-get >/dev/null || fail "not a Debian system; install by hand what is in: ${missing[*]}"
    note "installing ${missing[*]}"
    install_packages "${missing[@]}"
}

need_cargo() {
    command -v cargo >/dev/null || fail "no cargo on the PATH; a Rust toolchain comes from https://rustup.rs"
}

# need_component COMPONENT SUBCOMMAND: a part of the toolchain that minimal installations leave out.
need_component() {
    cargo "$2" --version &>/dev/null && return
    command -v rustup >/dev/null || fail "the Rust toolchain lacks $1"
    note "adding $1 to the Rust toolchain"
    quietly rustup component add "$1"
}

missing_build_packages() {
    local package
    for package in "${build_packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

# missing_tools COMMAND:PACKAGE...
missing_tools() {
    local tool
    for tool in "$@"; do
        command -v "${tool%%:*}" >/dev/null || echo "${tool#*:}"
    done
}

# Debian starts nginx, vsftpd and keepalived when they are installed. Ours run only inside namespaces, so the system's stay off
# meanwhile.
install_packages() {
    local service masked=()
    for service in nginx vsftpd keepalived; do
        if [[ " $* " == *" $service"* ]] && [ -d /run/systemd/system ]; then
            systemctl -q mask --runtime "$service.service" && masked+=("$service.service")
        fi
    done
    if ! apt_install "$@" &>/dev/null; then # most often: there are no package lists yet
        quietly apt-get -qq update
        quietly apt_install "$@"
    fi
    [ "${#masked[@]}" -eq 0 ] || systemctl -q unmask --runtime "${masked[@]}"
}

apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --no-install-recommends -y install "$@" </dev/null
}
