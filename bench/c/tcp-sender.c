/*
 * Sends TCP as fast as it can, or messages at a steady rate, to whoever connects. tcp-sender.ts does the same without a compiler.
 *
 *     tcp-sender bulk BYTES                            one connection
 *     tcp-sender messages CONNECTIONS SIZE RATE TOTAL  round robin, RATE messages a second in all, TCP_NODELAY
 *
 * Listens on a free port of 127.0.0.1, prints it, starts when all connections are there, ends when all is sent.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

enum { WRITE_BYTES = 256 * 1024, CONNECTIONS_MAX = 1024, TICK_NS = 1000000 };

static char block[WRITE_BYTES];

static void write_all(int fd, size_t count)
{
	for (size_t sent = 0; sent < count;) {
		ssize_t n = send(fd, block + sent, count - sent, MSG_NOSIGNAL);
		if (n < 0)
			fail("send");
		sent += n;
	}
}

static void send_bulk(int fd, long long bytes)
{
	while (bytes > 0) {
		size_t count = bytes < WRITE_BYTES ? bytes : WRITE_BYTES;
		write_all(fd, count);
		bytes -= count;
	}
}

/* Each tick sends what is due by now, so a late tick is made up for. */
static void send_messages(const int *fds, int connections, size_t size, double rate, long total)
{
	struct timespec start, next;
	clock_gettime(CLOCK_MONOTONIC, &start);
	next = start;
	for (long sent = 0; sent < total;) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		double elapsed = (now.tv_sec - start.tv_sec) + (now.tv_nsec - start.tv_nsec) / 1e9;
		long due = (long)(elapsed * rate);
		for (; sent < due && sent < total; sent++)
			write_all(fds[sent % connections], size);
		next.tv_nsec += TICK_NS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}

static int listen_on_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, CONNECTIONS_MAX) < 0)
		fail("listen");
	getsockname(fd, (struct sockaddr *)&address, &length);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	static int fds[CONNECTIONS_MAX];
	int is_bulk = argc == 3 && strcmp(argv[1], "bulk") == 0;
	if (!is_bulk && !(argc == 6 && strcmp(argv[1], "messages") == 0))
		return 2;
	int connections = is_bulk ? 1 : atoi(argv[2]);
	if (connections < 1 || connections > CONNECTIONS_MAX || (!is_bulk && atol(argv[3]) > WRITE_BYTES))
		return 2;
	int listener = listen_on_free_port();
	for (int i = 0; i < connections; i++) {
		int on = 1;
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0)
			fail("accept");
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	if (is_bulk)
		send_bulk(fds[0], atoll(argv[2]));
	else
		send_messages(fds, connections, atol(argv[3]), atof(argv[4]), atol(argv[5]));
	for (int i = 0; i < connections; i++)
		close(fds[i]);
	return 0;
}
