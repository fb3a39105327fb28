/*
 * Receives UDP the way a plain C program does: poll(2), then recvmmsg(2) until nothing is left.
 *
 *     udp-receiver plain|gro RCVBUF        prints its port, and at the first end marker (3 bytes) one JSON line
 *
 * gro: the kernel may deliver several datagrams as one (UDP_GRO), with their size in a control message; they are taken apart.
 * One byte of each datagram is looked at. CPU time is from the first datagram to the marker.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "measure.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { BATCH = 32, BUFFER_BYTES = 65536, MARKER_BYTES = 3 };

struct total {
	long long datagrams, bytes, messages, system_calls, wakeups;
	double start, seconds, user, system;
	int is_done;
};

static unsigned char buffers[BATCH][BUFFER_BYTES];
static unsigned char controls[BATCH][CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
static struct sockaddr_in sources[BATCH];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];
static volatile unsigned char touched;

/* CPU and wall time up to now, less what `total` began with. */
static void stamp(struct total *total)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	total->user = seconds_of(usage.ru_utime) - total->user;
	total->system = seconds_of(usage.ru_stime) - total->system;
	total->seconds = seconds_now() - total->start;
}

static int listen_on_free_port(int is_gro, int rcvbuf)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
		fail("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof rcvbuf) < 0)
		fail("SO_RCVBUF");
	if (is_gro && setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) < 0)
		fail("UDP_GRO");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static int buffer_bytes_of(int fd)
{
	int bytes = 0;
	socklen_t length = sizeof bytes;
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &length);
	return bytes;
}

/* How long each datagram of a message is; the last one may be shorter. */
static size_t segment_bytes_of(struct mmsghdr *message)
{
	int bytes = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message->msg_hdr); c != NULL; c = CMSG_NXTHDR(&message->msg_hdr, c))
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
			memcpy(&bytes, CMSG_DATA(c), sizeof bytes);
	return bytes > 0 ? (size_t)bytes : message->msg_len;
}

static void look_at(int i, struct total *total)
{
	size_t length = messages[i].msg_len, step = segment_bytes_of(&messages[i]);
	if (length == MARKER_BYTES) {
		total->is_done = 1;
		return;
	}
	for (size_t at = 0; at < length; at += step) {
		touched = buffers[i][at];
		total->datagrams++;
	}
	total->bytes += length;
	total->messages++;
}

/* One call; 0 when the socket is dry. */
static int receive(int fd, int is_gro, struct total *total)
{
	for (int i = 0; i < BATCH; i++) {
		struct msghdr *header = &messages[i].msg_hdr;
		header->msg_namelen = sizeof sources[i];
		header->msg_controllen = is_gro ? sizeof controls[i] : 0;
	}
	int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN)
		fail("recvmmsg");
	total->system_calls++;
	if (n <= 0)
		return 0;
	if (total->start == 0) {
		stamp(total);
		total->start = seconds_now();
	}
	for (int i = 0; i < n && !total->is_done; i++)
		look_at(i, total);
	return n == BATCH;
}

int main(int argc, char **argv)
{
	struct total total = {0};
	if (argc != 3)
		return 2;
	int is_gro = strcmp(argv[1], "gro") == 0;
	int fd = listen_on_free_port(is_gro, atoi(argv[2]));
	for (int i = 0; i < BATCH; i++) {
		vectors[i] = (struct iovec){.iov_base = buffers[i], .iov_len = BUFFER_BYTES};
		messages[i].msg_hdr = (struct msghdr){
			.msg_name = &sources[i], .msg_iov = &vectors[i], .msg_iovlen = 1, .msg_control = controls[i]};
	}
	while (!total.is_done) {
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (poll(&ready, 1, -1) < 0)
			fail("poll");
		total.wakeups++;
		while (!total.is_done && receive(fd, is_gro, &total))
			;
	}
	stamp(&total);
	printf("{\"datagrams\":%lld,\"bytes\":%lld,\"messages\":%lld,\"reads\":%lld,\"wakeups\":%lld,\"seconds\":%.6f,"
	       "\"userSeconds\":%.6f,\"systemSeconds\":%.6f,\"bufferBytes\":%d,\"peakRssMb\":%.2f}\n",
	       total.datagrams, total.bytes, total.messages, total.system_calls, total.wakeups, total.seconds, total.user,
	       total.system, buffer_bytes_of(fd), peak_rss_mb());
	return 0;
}
