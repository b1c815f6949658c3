// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//
// The steering program: hands to the workers' sockets what belongs to a virtual service, and leaves everything else to
// the kernel. It decides nothing more than that; what happens to a packet is decided by the workers.
//
// Ours are
//   - packets to a served {address, port, protocol}; a service for all ports has port 0;
//   - packets from {address, port, protocol} of a NAT server; one that answers from any port has port 0;
//   - packets that get a mark which is served, by the first rule that matches them;
//   - fragments, and ICMP errors, to a virtual address;
//   - fragments from a NAT server's address, and ICMP errors about packets to one;
//   - ICMP errors to the director about tunnel packets to a tunnel server;
//   - what such a server sends to one of the director's ends of full NAT, and ICMP errors about packets from there;
//   - fragments, and ICMP errors, to a destination that a rule for a served mark names.
// What else comes from the servers' side is not ours if it is for the director itself: its own health checks talk to the very
// same servers. ARP, neighbour discovery, echo (also in fragments) and all the rest are the kernel's. To a closed address
// nothing gets through to it but neighbour discovery.
//
// Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; ports are in network order.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "bpf.h"

struct address {
	__be32 word[4];
};

struct endpoint {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 ftp; // with port 0: the ports where FTP's data may go
};

// Addresses that share some bits.
struct block {
	struct address address, mask;
};

// A rule for a mark. Ports in host order, both ends included. A mask is 0 where all do.
struct rule {
	struct block source, destination;
	__u16 first_source_port, last_source_port, first_port, last_port;
	__u32 interface, interface_mask;
	__u8 protocol, protocol_mask;
	__u8 family, family_mask; // 4 or 6
	__u8 any_destination; // 1: but for the director's own addresses
	__u8 served; // 1: the mark has a service
	__u8 zero[2];
};

enum {
	MOST_RULES = 64,
};

struct rules {
	__u32 count;
	struct rule rule[MOST_RULES];
};

// What there is beside services for one address and port: lookups that can be spared otherwise.
enum {
	ALL_PORTS = 1, // services for all ports, or for FTP's
	ANY_PORT = 2, // servers that answer from any port
	MARKS = 4, // rules for marks
};

// What may be true of an address, by its hash: a lookup in an array costs a tenth of one in a set. What is not hinted at is
// not true; what is, the sets know.
enum {
	MAY_BE_SERVED = 1,
	MAY_BE_SERVER = 2,
	MAY_BE_LOCAL = 4,
	MAY_BE_CLOSED = 8,
	HINT_BITS = 12,
};

struct hints {
	__u8 of[1 << HINT_BITS];
};

// Ports in host order, both ends included.
struct range {
	__u16 first, last;
};

#define MAX_PORTS 256

struct port {
	__u32 interface;    // its index; 0 is none
	__u32 first_socket; // entry of its queue 0 in `sockets`
};

struct counters {
	__u64 passed, redirected, dropped, refused;
};

SET(services, struct endpoint, 65536);
SET(servers, struct endpoint, 65536);
SET(vips, struct address, 65536);
SET(server_addresses, struct address, 65536);
SET(tunnels, struct endpoint, 65536); // where tunnel packets go; the port is GUE's
SET(local_addresses, struct address, 65536);
SET(own_addresses, struct address, 65536); // the same without the virtual ones
SET(closed_addresses, struct address, 65536); // virtual ones that take only what is served
MAP_WITH_FLAGS(local_ends, BPF_MAP_TYPE_HASH, struct address, struct range, 4096, BPF_F_NO_PREALLOC); // full NAT's
MAP(kinds, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1);
MAP(marks, BPF_MAP_TYPE_HASH, __u32, struct rules, 1); // a hash, since its elements are exchanged as a whole
MAP(hints, BPF_MAP_TYPE_ARRAY, __u32, struct hints, 1);
MAP(ports, BPF_MAP_TYPE_ARRAY, __u32, struct port, MAX_PORTS); // by interface index modulo size, or the next free entry
MAP(sockets, BPF_MAP_TYPE_XSKMAP, __u32, __u32, 4096);
MAP(fallback, BPF_MAP_TYPE_ARRAY, __u32, __u32, 1); // what happens to our packets when no socket takes them
MAP(counts, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counters, 1);

// What the network headers say.
struct packet {
	struct address source, destination;
	void *payload; // past the network headers; unknown in a fragment
	__u32 interface;
	__u8 protocol;
	__u8 family; // 4 or 6
	__u8 fragment;
};

struct vlan_tag {
	__be16 control, protocol;
};

// What all IPv6 extension headers begin with; `piece` (offset, two spare bits, more) is the fragment header's alone.
struct extension {
	__u8 next, length;
	__be16 piece;
	__be32 rest;
};

// What TCP, UDP and SCTP begin with.
struct ports {
	__be16 source, destination;
};

// The errors of ICMP (RFC 792) and ICMPv6 (RFC 4443 2.1). <linux/icmp.h> needs a C library, which is not here.
enum {
	UNREACHABLE = 3,
	SOURCE_QUENCH = 4,
	TIME_EXCEEDED = 11,
	PARAMETER_PROBLEM = 12,
	V6_UNREACHABLE = 1,
	V6_PARAMETER_PROBLEM = 4,
};

// Of neighbour discovery (RFC 4861).
enum {
	NEIGHBOUR_SOLICITATION = 135,
	NEIGHBOUR_ADVERTISEMENT = 136,
};

// What ICMP and ICMPv6 begin with. An error quotes the packet that caused it.
struct icmp_error {
	__u8 type, code;
	__be16 checksum;
	__be32 rest;
	__u8 quoted[];
};

// Points `header` at `at`; makes the function return 0 if the frame ends within it.
#define READ(header, at)                       \
	do {                                       \
		header = at;                           \
		if ((void *)(header + 1) > end)        \
			return 0;                          \
	} while (0)

static ALWAYS_INLINE struct address mapped(__be32 ipv4)
{
	return (struct address){ { 0, 0, be32(0xffff), ipv4 } };
}

static ALWAYS_INLINE struct address address_of(const struct in6_addr *ipv6)
{
	const __be32 *word = ipv6->in6_u.u6_addr32;

	return (struct address){ { word[0], word[1], word[2], word[3] } };
}

static ALWAYS_INLINE int read_ipv4(struct packet *packet, void *at, void *end)
{
	struct iphdr *header;

	READ(header, at);
	packet->source = mapped(header->saddr);
	packet->destination = mapped(header->daddr);
	packet->payload = at + header->ihl * 4;
	packet->protocol = header->protocol;
	packet->family = 4;
	packet->fragment = (header->frag_off & be16(0x3fff)) != 0; // an offset, or more to come
	return 1;
}

static OUT_OF_LINE int skip_extensions(struct packet *packet, void *end)
{
	for (int i = 0; i < 8; i++) { // a packet with more is not for us
		struct extension *header;

		switch (packet->protocol) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
			READ(header, packet->payload);
			packet->payload += (header->length + 1) * 8;
			break;
		case IPPROTO_FRAGMENT:
			READ(header, packet->payload);
			packet->payload += sizeof(*header);
			packet->fragment = (header->piece & be16(0xfff9)) != 0;
			break;
		default:
			return 1;
		}
		packet->protocol = header->next;
		if (packet->fragment)
			return 1;
	}
	return 0;
}

static ALWAYS_INLINE int read_ipv6(struct packet *packet, void *at, void *end)
{
	struct ipv6hdr *header;

	READ(header, at);
	packet->source = address_of(&header->saddr);
	packet->destination = address_of(&header->daddr);
	packet->payload = header + 1;
	packet->protocol = header->nexthdr;
	packet->family = 6;
	packet->fragment = 0;
	if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
		return 1;
	return skip_extensions(packet, end);
}

static ALWAYS_INLINE __u8 hints_of(const struct address *address)
{
	__u32 zero = 0;
	__u32 hash = (address->word[0] ^ address->word[1] ^ address->word[2] ^ address->word[3]) * 0x9e3779b1;
	struct hints *hinted = map_lookup(&hints, &zero);

	return hinted ? hinted->of[hash >> (32 - HINT_BITS)] : 0xff;
}

static ALWAYS_INLINE int is_for_director(const struct packet *packet)
{
	return hints_of(&packet->destination) & MAY_BE_LOCAL && map_lookup(&local_addresses, &packet->destination);
}

static ALWAYS_INLINE int is_local_end(const struct address *address, __be16 port)
{
	struct range *ports = map_lookup(&local_ends, address);
	__u16 number = from_be16(port);

	return ports && number >= ports->first && number <= ports->last;
}

// Whether what a server sends is for the director's own programs.
static ALWAYS_INLINE int is_for_kernel(const struct packet *packet, __be16 port)
{
	return is_for_director(packet) && !is_local_end(&packet->destination, port);
}

static ALWAYS_INLINE __u32 kinds_there_are(void)
{
	__u32 zero = 0;
	__u32 *there_are = map_lookup(&kinds, &zero);

	return there_are ? *there_are : 0;
}

// The comparisons with rules give 0 for "yes" and do not branch: over all rules, the verifier would have to follow too
// many ways.
static ALWAYS_INLINE __u32 is_beside(const struct address *address, const struct block *block)
{
	__u32 differs = 0;

	for (int i = 0; i < 4; i++)
		differs |= (address->word[i] ^ block->address.word[i]) & block->mask.word[i];
	return differs;
}

static ALWAYS_INLINE __u32 is_outside(__u32 port, __u32 first, __u32 last)
{
	return ((port - first) | (last - port)) >> 31; // one of them is below 0
}

static ALWAYS_INLINE __u32 differs(const struct rule *rule, const struct packet *packet, __u32 ports)
{
	return ((rule->protocol ^ packet->protocol) & rule->protocol_mask) |
	       ((rule->family ^ packet->family) & rule->family_mask) |
	       ((rule->interface ^ packet->interface) & rule->interface_mask) |
	       is_outside(ports >> 16, rule->first_source_port, rule->last_source_port) |
	       is_outside(ports & 0xffff, rule->first_port, rule->last_port) |
	       is_beside(&packet->source, &rule->source) | is_beside(&packet->destination, &rule->destination);
}

// Whether the first rule that matches the packet gives it a mark that is served. `ports` has the source's above.
static OUT_OF_LINE int is_marked(const struct packet *packet, __u32 ports)
{
	__u32 zero = 0;
	struct rules *all = map_lookup(&marks, &zero);
	__u32 is_own = map_lookup(&own_addresses, &packet->destination) ? 1 : 0;

	if (!all)
		return 0;
	for (__u32 i = 0; i < MOST_RULES && i < all->count; i++) {
		const struct rule *rule = &all->rule[i];

		if (!(differs(rule, packet, ports) | (rule->any_destination & is_own)))
			return rule->served;
	}
	return 0;
}

// Whether the packet's destination is one that a rule for a served mark names. For packets whose ports are not known.
static OUT_OF_LINE int is_to_marked_address(const struct packet *packet)
{
	__u32 zero = 0;
	struct rules *all;

	if (!(kinds_there_are() & MARKS))
		return 0;
	all = map_lookup(&marks, &zero);
	if (!all)
		return 0;
	for (__u32 i = 0; i < MOST_RULES && i < all->count; i++) {
		const struct rule *rule = &all->rule[i];

		if (!(is_beside(&packet->destination, &rule->destination) | rule->any_destination | (rule->served ^ 1)))
			return 1;
	}
	return 0;
}

// The lookups for packets that no {address, port, protocol} names.
static OUT_OF_LINE int is_served_otherwise(const struct packet *packet, __be16 source_port, __be16 port)
{
	struct endpoint key = { .address = packet->destination, .protocol = packet->protocol };
	__u32 there_are = kinds_there_are();
	__u16 number = from_be16(port);

	if (there_are & ALL_PORTS) {
		if (map_lookup(&services, &key))
			return 1;
		key.ftp = 1;
		if ((number == 20 || number >= 1024) && map_lookup(&services, &key))
			return 1;
		key.ftp = 0;
	}
	if (there_are & ANY_PORT && !is_for_kernel(packet, port)) {
		key.address = packet->source;
		if (map_lookup(&servers, &key))
			return 1;
		key.protocol = 0;
		if (map_lookup(&servers, &key))
			return 1;
	}
	return there_are & MARKS && is_marked(packet, (__u32)from_be16(source_port) << 16 | number);
}

static ALWAYS_INLINE int is_served(const struct packet *packet, void *end)
{
	struct endpoint key = { .address = packet->destination, .protocol = packet->protocol };
	struct ports *ports;

	READ(ports, packet->payload);
	key.port = ports->destination;
	if (hints_of(&packet->destination) & MAY_BE_SERVED && map_lookup(&services, &key))
		return 1;
	key.address = packet->source;
	key.port = ports->source;
	if (hints_of(&packet->source) & MAY_BE_SERVER && map_lookup(&servers, &key) &&
	    !is_for_kernel(packet, ports->destination))
		return 1;
	return is_served_otherwise(packet, ports->source, ports->destination);
}

static OUT_OF_LINE int is_our_fragment(const struct packet *packet)
{
	if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6)
		return 0;
	if (map_lookup(&vips, &packet->destination))
		return 1;
	if (map_lookup(&server_addresses, &packet->source) &&
	    (!is_for_director(packet) || map_lookup(&local_ends, &packet->destination)))
		return 1;
	return is_to_marked_address(packet);
}

static ALWAYS_INLINE int is_error(__u8 protocol, __u8 type)
{
	if (protocol == IPPROTO_ICMPV6)
		return type >= V6_UNREACHABLE && type <= V6_PARAMETER_PROBLEM;
	return type == UNREACHABLE || type == SOURCE_QUENCH || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM;
}

static OUT_OF_LINE int is_our_error(const struct packet *packet, void *end)
{
	struct endpoint tunnel = {};
	struct icmp_error *error;
	struct iphdr *ipv4;
	struct ipv6hdr *ipv6;
	struct ports *ports;
	void *behind; // the quoted packet's header; options are not looked for in our own tunnel packets

	READ(error, packet->payload);
	if (!is_error(packet->protocol, error->type))
		return 0;
	if (map_lookup(&vips, &packet->destination) || is_to_marked_address(packet))
		return 1;
	if (packet->protocol == IPPROTO_ICMPV6) {
		READ(ipv6, (void *)error->quoted);
		tunnel.address = address_of(&ipv6->daddr);
		tunnel.protocol = ipv6->nexthdr;
		behind = ipv6 + 1;
	} else {
		READ(ipv4, (void *)error->quoted);
		tunnel.address = mapped(ipv4->daddr);
		tunnel.protocol = ipv4->protocol;
		behind = ipv4 + 1;
	}
	if (!is_for_director(packet))
		return map_lookup(&server_addresses, &tunnel.address) != 0;
	if (map_lookup(&local_ends, &packet->destination) && map_lookup(&server_addresses, &tunnel.address)) {
		READ(ports, behind);
		return is_local_end(&packet->destination, ports->source);
	}
	if (tunnel.protocol == IPPROTO_UDP) {
		READ(ports, behind);
		tunnel.port = ports->destination;
	}
	return map_lookup(&tunnels, &tunnel) != 0;
}

// Whether the packet is for a virtual address that takes only what is served (Accept_Mode of RFC 9568 6.1). Neighbours must
// find it all the same.
static OUT_OF_LINE int is_refused(const struct packet *packet, void *end)
{
	struct icmp_error *message;

	if (!(hints_of(&packet->destination) & MAY_BE_CLOSED) || !map_lookup(&closed_addresses, &packet->destination))
		return 0;
	if (packet->fragment || packet->protocol != IPPROTO_ICMPV6)
		return 1;
	READ(message, packet->payload);
	return message->type != NEIGHBOUR_SOLICITATION && message->type != NEIGHBOUR_ADVERTISEMENT;
}

static ALWAYS_INLINE int is_ours(const struct packet *packet, void *end)
{
	if (UNLIKELY(packet->fragment))
		return is_our_fragment(packet);
	switch (packet->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		return is_served(packet, end);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return is_our_error(packet, end);
	}
	return 0;
}

// What becomes of a frame.
enum fate {
	KERNELS,
	OURS,
	NOBODYS,
};

static ALWAYS_INLINE enum fate judge(void *at, void *end, __u32 interface)
{
	struct packet packet;
	struct ethhdr *ethernet;
	struct vlan_tag *tag;
	__be16 protocol;

	READ(ethernet, at);
	if (ethernet->h_dest[0] & 1) // to many stations: LVS leaves such frames alone (ip_vs_core.c: ip_vs_in_hook)
		return KERNELS;
	packet.interface = interface;
	protocol = ethernet->h_proto;
	at = ethernet + 1;
	if (UNLIKELY(protocol == be16(ETH_P_8021Q) || protocol == be16(ETH_P_8021AD))) {
		READ(tag, at);
		protocol = tag->protocol;
		at = tag + 1;
	}
	if (protocol == be16(ETH_P_IP)) {
		if (!read_ipv4(&packet, at, end))
			return KERNELS;
	} else if (protocol == be16(ETH_P_IPV6)) {
		if (!read_ipv6(&packet, at, end))
			return KERNELS;
	} else {
		return KERNELS;
	}
	if (is_ours(&packet, end))
		return OURS;
	return is_refused(&packet, end) ? NOBODYS : KERNELS;
}

static ALWAYS_INLINE int hand_over(struct xdp_md *frame)
{
	__u32 zero = 0, interface = frame->ingress_ifindex;
	__u32 *otherwise = map_lookup(&fallback, &zero);

	if (!otherwise)
		return XDP_DROP;
	for (__u32 step = 0; step < MAX_PORTS; step++) {
		__u32 at = (interface + step) % MAX_PORTS;
		struct port *port = map_lookup(&ports, &at);

		if (!port || !port->interface)
			break;
		if (port->interface == interface)
			return redirect_map(&sockets, port->first_socket + frame->rx_queue_index, *otherwise);
	}
	return *otherwise;
}

SECTION("xdp") int steer(struct xdp_md *frame)
{
	int action = XDP_PASS;
	__u32 zero = 0;
	struct counters *count = map_lookup(&counts, &zero);
	enum fate fate = judge((void *)(long)frame->data, (void *)(long)frame->data_end, frame->ingress_ifindex);

	if (fate == OURS)
		action = hand_over(frame);
	else if (fate == NOBODYS)
		action = XDP_DROP;
	if (count) {
		if (fate == NOBODYS)
			count->refused++;
		else if (action == XDP_REDIRECT)
			count->redirected++;
		else if (action == XDP_PASS)
			count->passed++;
		else
			count->dropped++;
	}
	return action;
}

SECTION("license") const char licence[] = "Dual BSD/GPL";
