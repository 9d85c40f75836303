//go:build ignore

// The tracepoint programs: count what every socket of this network namespace
// does, whoever owns it. No cgroup is needed; the kernel's own BTF is, for the
// offsets of the few fields below.
#include "penstock.h"

static struct tcp_sock *(*bpf_skc_to_tcp_sock)(void *sk) = (void *)BPF_FUNC_skc_to_tcp_sock;

#define ETIMEDOUT 110

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	__u32 skc_daddr;
	__u16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
};

struct sock {
	struct sock_common __sk_common;
	int sk_err;
};

struct inet_connection_sock {
	__u8 icsk_retransmits;
};

struct minmax_sample {
	__u32 t;
	__u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_received;
	__u64 bytes_acked;
	__u32 srtt_us;
	struct minmax rtt_min;
};

#pragma clang attribute pop

// The network namespace that is looked at: in another, 127.0.0.1 is another host.
volatile const __u32 netns = 0;

static inline void fill_address(struct sock *sk, struct address *a) {
	if (sk->__sk_common.skc_family == AF_INET) {
		a->ip[2] = __builtin_bswap32(0xffff);
		a->ip[3] = sk->__sk_common.skc_daddr;
	} else {
		a->ip[0] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[0];
		a->ip[1] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[1];
		a->ip[2] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[2];
		a->ip[3] = sk->__sk_common.skc_v6_daddr.in6_u.u6_addr32[3];
	}
	a->port = __builtin_bswap16(sk->__sk_common.skc_dport);
}

static inline void connecting(struct sock *sk) {
	struct address a = {};
	struct conn fresh = {};
	struct place *p;
	struct conn *c;
	struct row *r;

	fill_address(sk, &a);
	p = bpf_map_lookup_elem(&addresses, &a);
	if (!p)
		return;
	fresh.row = p->row;
	fresh.generation = p->generation;
	c = bpf_sk_storage_get(&conns, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
	if (!c)
		return;
	*c = fresh; // a socket may connect a second time
	r = row_of(c);
	if (r)
		__sync_fetch_and_add(&r->sockets, 1);
}

static inline void accepted(struct sock *sk) {
	struct conn fresh = { .row = NO_ROW };
	__u32 port = sk->__sk_common.skc_num;

	if (bpf_map_lookup_elem(&listening, &port))
		bpf_sk_storage_get(&conns, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
}

SEC("tp_btf/inet_sock_set_state")
int changing(__u64 *args) {
	struct sock *sk = (void *)args[0];
	__u32 from = args[1], to = args[2];
	__u64 now = bpf_ktime_get_ns();
	struct tcp_sock *tcp;
	struct conn *c;
	struct row *r;

	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp || sk->__sk_common.skc_net.net->ns.inum != netns)
		return 0;
	if (to == BPF_TCP_SYN_SENT)
		connecting(sk);
	else if (from == BPF_TCP_SYN_RECV && to == BPF_TCP_ESTABLISHED)
		accepted(sk);
	c = bpf_sk_storage_get(&conns, sk, 0, 0);
	if (!c)
		return 0;
	if (to == BPF_TCP_CLOSE) {
		// tcp_reset and tcp_write_err leave word before they close; close(2) does not.
		c->ours = sk->sk_err == 0;
		c->expired = sk->sk_err == ETIMEDOUT;
	}
	if (c->row == NO_ROW) {
		client_changed(bpf_get_socket_cookie(sk), c, from, to, now);
		return 0;
	}
	r = row_of(c);
	if (!r || to == BPF_TCP_SYN_SENT)
		return 0;
	if (to == BPF_TCP_ESTABLISHED)
		count_open(c, r, tcp->bytes_acked, tcp->bytes_received);
	if (from != BPF_TCP_SYN_SENT)
		count_bytes(c, r, tcp->bytes_acked, tcp->bytes_received, now);
	count_rtt(r, tcp->srtt_us >> 3, tcp->rtt_min.s[0].v);
	instance_changed(bpf_get_socket_cookie(sk), c, r, from, to, now);
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int retransmitting(__u64 *args) {
	struct sock *sk = (void *)args[0];
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, 0);
	__u64 now = bpf_ktime_get_ns();
	struct tcp_sock *tcp;
	struct row *r;
	__u64 cookie;
	__u8 times;

	if (!c)
		return 0;
	r = row_of(c);
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!r || !tcp)
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	times = tcp->inet_conn.icsk_retransmits; // counted up by the timer, down to 0 by any progress
	if (times)
		silent(cookie, c, r, sk->__sk_common.skc_state, times, now);
	retransmitted(cookie, c, r, 1, now);
	return 0;
}
