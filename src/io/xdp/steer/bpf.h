// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
//
// The little that a BPF program needs beyond the kernel's own headers (linux/bpf.h).
#pragma once

#define SECTION(name) __attribute__((section(name), used))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define OUT_OF_LINE __attribute__((noinline))
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define be16(constant) ((__be16)__builtin_bswap16(constant))
#define be32(constant) ((__be32)__builtin_bswap32(constant))
#define from_be16(value) ((__u16)__builtin_bswap16(value))
#else
#define be16(constant) ((__be16)(constant))
#define be32(constant) ((__be32)(constant))
#define from_be16(value) ((__u16)(value))
#endif

// A map, described by types as the loader expects it (BTF): kind, flags and size are array lengths.
#define MAP_WITH_FLAGS(name, kind, key_type, value_type, size, map_options) \
	struct {                                                               \
		int(*type)[kind];                                                  \
		int(*max_entries)[size];                                           \
		int(*map_flags)[map_options];                                      \
		key_type *key;                                                     \
		value_type *value;                                                 \
	} name SECTION(".maps")

#define MAP(name, kind, key_type, value_type, size) MAP_WITH_FLAGS(name, kind, key_type, value_type, size, 0)

// A set of keys. Its memory grows with its members.
#define SET(name, key_type, size) \
	MAP_WITH_FLAGS(name, BPF_MAP_TYPE_HASH, key_type, __u8, size, BPF_F_NO_PREALLOC)

// The kernel's helpers, by number (linux/bpf.h, enum bpf_func_id).
static void *(*const map_lookup)(const void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*const redirect_map)(const void *map, __u64 index, __u64 otherwise) = (void *)BPF_FUNC_redirect_map;
