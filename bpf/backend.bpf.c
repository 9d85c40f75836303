//go:build ignore

// The sockops program: counts what the sockets of its own cgroup do, as they
// do it. Attached to the gateway's cgroup, so it sees the gateway's sockets and
// nobody else's. A socket that was there before is not known and not counted.
#include "penstock.h"

static long (*bpf_sock_ops_cb_flags_set)(struct bpf_sock_ops *ctx, int flags) = (void *)BPF_FUNC_sock_ops_cb_flags_set;

// The first retransmission time-out of a SYN, in ticks (tcp_timeout_init in
// net/ipv4/tcp: what is returned is jiffies). 0: the kernel's own, a second.
volatile const __u32 syn_ticks = 0;

static inline struct conn *conn_of(struct bpf_sock_ops *ctx, struct conn *fresh) {
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return 0;
	return bpf_sk_storage_get(&conns, sk, fresh, fresh ? BPF_SK_STORAGE_GET_F_CREATE : 0);
}

// load keeps clang from computing ctx + offset first and loading through that,
// which the verifier refuses ("dereference of modified ctx ptr").
#define load(field)                                                      \
	({                                                               \
		__u32 v;                                                 \
		asm volatile("%0 = *(u32 *)(%1 + %2)"                    \
			     : "=r"(v)                                   \
			     : "r"(ctx), "i"(__builtin_offsetof(struct bpf_sock_ops, field))); \
		v;                                                       \
	})

static inline void fill_address(struct bpf_sock_ops *ctx, struct address *a) {
	if (ctx->family == AF_INET) {
		a->ip[2] = __builtin_bswap32(0xffff);
		a->ip[3] = load(remote_ip4);
	} else {
		a->ip[0] = load(remote_ip6[0]);
		a->ip[1] = load(remote_ip6[1]);
		a->ip[2] = load(remote_ip6[2]);
		a->ip[3] = load(remote_ip6[3]);
	}
	a->port = __builtin_bswap32(ctx->remote_port); // the kernel has it in the upper half
}

// hear asks for callbacks, beside those that another program has asked for.
static inline void hear(struct bpf_sock_ops *ctx, int flags) {
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | flags);
}

static inline void connecting(struct bpf_sock_ops *ctx) {
	struct address a = {};
	struct conn fresh = {};
	struct place *p;
	struct conn *c;
	struct row *r;

	fill_address(ctx, &a);
	p = bpf_map_lookup_elem(&addresses, &a);
	if (!p)
		return;
	fresh.row = p->row;
	fresh.generation = p->generation;
	c = conn_of(ctx, &fresh);
	if (!c)
		return;
	*c = fresh; // a socket may connect a second time (connect to AF_UNSPEC between)
	r = row_of(c);
	if (!r)
		return;
	__sync_fetch_and_add(&r->sockets, 1);
	// From here on, so that SYN_SENT -> CLOSE is seen.
	hear(ctx, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG |
			  BPF_SOCK_OPS_RTO_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG);
}

static inline void accepted(struct bpf_sock_ops *ctx) {
	struct conn fresh = { .row = NO_ROW };
	__u32 port = ctx->local_port;

	if (bpf_map_lookup_elem(&listening, &port) && conn_of(ctx, &fresh))
		hear(ctx, BPF_SOCK_OPS_STATE_CB_FLAG);
}

// known handles the callbacks of a socket that has a conn.
static inline void known(struct bpf_sock_ops *ctx, struct conn *c) {
	__u32 op = ctx->op, arg0 = ctx->args[0], arg1 = ctx->args[1], arg2 = ctx->args[2];
	__u64 now = bpf_ktime_get_ns();
	struct row *r;

	if (c->row == NO_ROW) {
		if (op == BPF_SOCK_OPS_STATE_CB)
			client_changed(bpf_get_socket_cookie(ctx), c, arg0, arg1, now);
		return;
	}
	r = row_of(c);
	if (!r)
		return;
	if (op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) {
		count_open(c, r, ctx->bytes_acked, ctx->bytes_received);
		count_rtt(r, ctx->srtt_us >> 3, ctx->rtt_min);
		return;
	}
	if (c->counted || (op == BPF_SOCK_OPS_STATE_CB && arg0 != BPF_TCP_SYN_SENT)) // else the SYN would be a byte
		count_bytes(c, r, ctx->bytes_acked, ctx->bytes_received,
			    op == BPF_SOCK_OPS_RTO_CB || op == BPF_SOCK_OPS_RETRANS_CB ? 0 : now);
	switch (op) {
	case BPF_SOCK_OPS_RTT_CB:
		count_rtt(r, ctx->srtt_us >> 3, ctx->rtt_min);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		instance_changed(bpf_get_socket_cookie(ctx), c, r, arg0, arg1, now);
		break;
	case BPF_SOCK_OPS_RTO_CB:
		if (arg2)
			c->expired = 1;
		silent(bpf_get_socket_cookie(ctx), c, r, ctx->state, arg0, now);
		break;
	case BPF_SOCK_OPS_RETRANS_CB:
		retransmitted(bpf_get_socket_cookie(ctx), c, r, arg1, now);
		break;
	}
}

SEC("sockops")
int backend(struct bpf_sock_ops *ctx) {
	struct conn *c;

	switch (ctx->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		connecting(ctx);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		accepted(ctx);
		break;
	case BPF_SOCK_OPS_TIMEOUT_INIT: // asked right after TCP_CONNECT_CB
		c = conn_of(ctx, 0);
		if (c && c->row != NO_ROW && syn_ticks)
			ctx->reply = syn_ticks;
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_STATE_CB:
	case BPF_SOCK_OPS_RTT_CB:
	case BPF_SOCK_OPS_RTO_CB:
	case BPF_SOCK_OPS_RETRANS_CB:
		c = conn_of(ctx, 0);
		if (c)
			known(ctx, c);
		break;
	}
	return 1;
}

// closing runs when the last descriptor of a socket is closed, before TCP acts
// on it: the one way to tell our own end of a connection from the peer's.
SEC("cgroup/sock_release")
int closing(struct bpf_sock *sk) {
	struct conn *c = bpf_sk_storage_get(&conns, sk, 0, 0);

	if (c)
		c->ours = 1;
	return 1;
}
