// What both programs share: the maps, their layouts, and what may be done to a
// row. Only UAPI headers, so that any kernel that knows the hooks will do.
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define inline __attribute__((always_inline)) inline

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static __u64 (*bpf_get_socket_cookie)(void *ctx) = (void *)BPF_FUNC_get_socket_cookie;
static void *(*bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)BPF_FUNC_sk_storage_get;
static long (*bpf_ringbuf_output)(void *ring, void *data, __u64 size, __u64 flags) = (void *)BPF_FUNC_ringbuf_output;

#define AF_INET 2
#define MAX_ROWS 4096
#define NO_ROW 0xffffffff
#define QUIET_NS 10000000  // rate-limited events of one row are this far apart
#define BURST_NS 1000000000 // this many retransmits of one connection within
#define BURST 4             // this time are a burst

// Row in row.go is its twin. Every word is read by Go while it is written here.
struct row {
	__u64 generation; // written by Go: which address has the row
	__u64 sockets;    // from the first SYN to CLOSE; 0: nothing refers to the row
	__u64 active;
	__u64 total;
	__u64 bytes_in;
	__u64 bytes_out;
	__u64 srtt_us;
	__u64 rtt_min_us;
	__u64 retransmits;
	__u64 timeouts;
	__u64 unanswered;
	__u64 refused;
	__u64 resets;
	__u64 peer_closed;
	__u64 last_event_ns;
	__u64 last_byte_ns;
};

struct address {
	__u32 ip[4]; // network order; IPv4 as ::ffff:a.b.c.d
	__u32 port;  // host order
};

struct place {
	__u32 row;
	__u32 generation;
};

enum kind { REFUSED = 1, TIMED_OUT, RESET, PEER_CLOSED, TIMEOUT, RETRANSMITS, CLIENT_LEFT };

// wireEvent in event.go is its twin.
struct event {
	__u64 cookie;
	__u64 at;
	__u32 row;
	__u32 generation;
	__u32 count;
	enum kind kind;
};

// conn is what is known of one socket, kept on the socket itself: no hash of
// 4-tuples, and gone with it.
struct conn {
	__u32 row; // NO_ROW: a client's
	__u32 generation;
	__u64 acked;
	__u64 received;
	__u64 burst_ns; // when the retransmits below began
	__u32 burst;
	__u8 counted; // in row.active
	__u8 ours;    // closed by us: what follows is no fault of the peer's
	__u8 expired; // given up by the kernel for want of answers
	__u8 left;    // the client's leaving has been told
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_ROWS);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ROWS);
	__type(key, struct address);
	__type(value, struct place);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u32);
} listening SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

volatile __u64 lost = 0; // events that found the ring full
struct event *unused;    // puts the layout into the BTF, where a test compares it

static inline void tell(__u64 cookie, struct conn *c, __u32 kind, __u32 count, __u64 now) {
	struct event e = {
		.cookie = cookie,
		.at = now,
		.row = c->row,
		.generation = c->generation,
		.count = count,
		.kind = kind,
	};
	if (bpf_ringbuf_output(&events, &e, sizeof(e), 0))
		__sync_fetch_and_add(&lost, 1);
}

// row_of returns nothing for a client's connection and for one that was made
// to the address that had this row before.
static inline struct row *row_of(struct conn *c) {
	struct row *r = bpf_map_lookup_elem(&rows, &c->row);
	if (r && (__u32)r->generation == c->generation)
		return r;
	return 0;
}

// note tells of an event about row r that has just been counted.
static inline void note(__u64 cookie, struct conn *c, struct row *r, __u32 kind, __u64 now) {
	r->last_event_ns = now;
	tell(cookie, c, kind, 1, now);
}

// note_seldom is note for what comes in herds. It returns whether it has told.
static inline int note_seldom(__u64 cookie, struct conn *c, struct row *r, __u32 kind, __u32 count, __u64 now) {
	if (now - r->last_event_ns < QUIET_NS)
		return 0;
	r->last_event_ns = now;
	tell(cookie, c, kind, count, now);
	return 1;
}

// count_bytes adds what the socket's totals have grown by. heard is when that
// was; 0: it was heard earlier, and only now there is a callback to count it.
static inline void count_bytes(struct conn *c, struct row *r, __u64 acked, __u64 received, __u64 heard) {
	if (acked == c->acked && received == c->received)
		return;
	if (acked > c->acked)
		__sync_fetch_and_add(&r->bytes_out, acked - c->acked);
	if (received > c->received)
		__sync_fetch_and_add(&r->bytes_in, received - c->received);
	c->acked = acked;
	c->received = received;
	if (heard)
		r->last_byte_ns = heard;
}

static inline void count_rtt(struct row *r, __u32 srtt_us, __u32 rtt_min_us) {
	if (srtt_us)
		r->srtt_us = srtt_us;
	if (rtt_min_us && rtt_min_us != ~0U && (!r->rtt_min_us || rtt_min_us < r->rtt_min_us))
		r->rtt_min_us = rtt_min_us;
}

static inline void count_open(struct conn *c, struct row *r, __u64 acked, __u64 received) {
	c->counted = 1;
	c->acked = acked; // the SYN counts as one byte: begin after it
	c->received = received;
	__sync_fetch_and_add(&r->active, 1);
	__sync_fetch_and_add(&r->total, 1);
}

// client_changed is told of a client's connection going from one state to
// another.
static inline void client_changed(__u64 cookie, struct conn *c, __u32 from, __u32 to, __u64 now) {
	if (c->left || c->ours || from != BPF_TCP_ESTABLISHED)
		return;
	if (to != BPF_TCP_CLOSE_WAIT && to != BPF_TCP_CLOSE)
		return;
	c->left = 1;
	tell(cookie, c, CLIENT_LEFT, 1, now);
}

// instance_changed is told of an instance's connection going from one state to
// another. A connection that is closed by us (c->ours) goes to CLOSE at once if
// there was something unread: to the instance that is a reset, from it it is none.
static inline void instance_changed(__u64 cookie, struct conn *c, struct row *r, __u32 from, __u32 to, __u64 now) {
	if (from == BPF_TCP_ESTABLISHED && c->counted) {
		c->counted = 0;
		__sync_fetch_and_add(&r->active, -1);
	}
	if (to == BPF_TCP_CLOSE)
		__sync_fetch_and_add(&r->sockets, -1);
	if (c->ours || c->expired) // expired: has been told as a time-out
		return;
	if (to == BPF_TCP_CLOSE_WAIT) {
		__sync_fetch_and_add(&r->peer_closed, 1);
		note(cookie, c, r, PEER_CLOSED, now);
	} else if (to == BPF_TCP_CLOSE && from == BPF_TCP_SYN_SENT) {
		__sync_fetch_and_add(&r->refused, 1);
		note(cookie, c, r, REFUSED, now);
	} else if (to == BPF_TCP_CLOSE && (from == BPF_TCP_ESTABLISHED || from == BPF_TCP_CLOSE_WAIT)) {
		__sync_fetch_and_add(&r->resets, 1);
		note(cookie, c, r, RESET, now);
	}
}

// silent is told of a retransmission time-out: of a SYN, or of anything later.
static inline void silent(__u64 cookie, struct conn *c, struct row *r, __u32 state, __u32 times, __u64 now) {
	if (state == BPF_TCP_SYN_SENT) {
		__sync_fetch_and_add(&r->unanswered, 1);
		note_seldom(cookie, c, r, TIMED_OUT, times, now);
	} else {
		__sync_fetch_and_add(&r->timeouts, 1);
		note_seldom(cookie, c, r, TIMEOUT, times, now);
	}
}

static inline void retransmitted(__u64 cookie, struct conn *c, struct row *r, __u32 segments, __u64 now) {
	__sync_fetch_and_add(&r->retransmits, segments);
	if (now - c->burst_ns > BURST_NS) {
		c->burst_ns = now;
		c->burst = 0;
	}
	c->burst += segments;
	if (c->burst >= BURST && note_seldom(cookie, c, r, RETRANSMITS, c->burst, now))
		c->burst = 0;
}

char copying[] SEC("license") = "GPL";
