// What Ringback's tables are measured against: the same idea with the kernel's hash maps, as one writes it by hand.
// refsynnew: a SYN of a new flow in each run. refpair: a SYN, its SYN/ACK, and the service's last answer.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef KIND
#define KIND BPF_MAP_TYPE_LRU_HASH
#endif

struct flow {
	__u32 client, server;
	__u16 client_port, server_port;
};

struct attempt {
	__u64 seen;
	__u32 seq, count;
};

struct service {
	__u32 server;
	__u16 port, pad;
};

struct {
	__uint(type, KIND);
	__type(key, struct flow);
	__type(value, struct attempt);
	__uint(max_entries, 1 << 20);
} pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__type(key, struct service);
	__type(value, __u64);
	__uint(max_entries, 1 << 16);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} counter SEC(".maps");

static __always_inline int new_flow(struct xdp_md *ctx, struct flow *flow, __u32 *seq)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	__u32 zero = 0, *count;
	struct tcphdr *tcp;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP || ip->ihl < 5)
		return 0;
	tcp = (void *)ip + ip->ihl * 4;
	if ((void *)(tcp + 1) > end || !tcp->syn || tcp->ack)
		return 0;
	count = bpf_map_lookup_elem(&counter, &zero);
	if (!count)
		return 0;
	flow->client = ip->saddr ^ bpf_htonl((*count)++);
	flow->server = ip->daddr;
	flow->client_port = tcp->source;
	flow->server_port = tcp->dest;
	*seq = tcp->seq;
	return 1;
}

static __always_inline void seen(struct flow *flow, __u32 seq)
{
	struct attempt *before = bpf_map_lookup_elem(&pending, flow);
	struct attempt attempt = { bpf_ktime_get_ns(), seq, 1 };

	if (before && before->seq == seq)
		before->count++;
	else
		bpf_map_update_elem(&pending, flow, &attempt, BPF_ANY);
}

SEC("xdp")
int refsynnew(struct xdp_md *ctx)
{
	struct flow flow;
	__u32 seq;

	if (new_flow(ctx, &flow, &seq))
		seen(&flow, seq);
	return XDP_PASS;
}

SEC("xdp")
int refpair(struct xdp_md *ctx)
{
	struct attempt *attempt;
	struct flow flow;
	__u32 seq;

	if (!new_flow(ctx, &flow, &seq))
		return XDP_PASS;
	seen(&flow, seq);
	attempt = bpf_map_lookup_elem(&pending, &flow);
	if (attempt && attempt->seq == seq) {
		struct service service = { flow.server, flow.server_port, 0 };
		__u64 now = bpf_ktime_get_ns(), *answered;

		bpf_map_delete_elem(&pending, &flow);
		answered = bpf_map_lookup_elem(&services, &service);
		if (answered)
			*answered = now;
		else
			bpf_map_update_elem(&services, &service, &now, BPF_ANY);
	}
	return XDP_PASS;
}

// The least that anything which looks for TCP flags must do.
SEC("xdp")
int refparse(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP || ip->ihl < 5)
		return XDP_PASS;
	tcp = (void *)ip + ip->ihl * 4;
	if ((void *)(tcp + 1) > end)
		return XDP_PASS;
	// Never true, but the compiler does not know.
	return tcp->syn && tcp->fin && tcp->urg && tcp->rst ? XDP_ABORTED : XDP_PASS;
}

SEC("xdp")
int refpass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char program_license[] SEC("license") = "GPL";
