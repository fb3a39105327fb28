/** Under the options of `jumbo --help`. */
export const PROGRAM_HELP = `
Examples:
  jumbo                                        receive 1 GiB and a million datagrams over loopback, see what it costs
  jumbo recv tcp://127.0.0.1:9000 -o out.bin   receive a file; send one with
    socat -u FILE:big.bin TCP:127.0.0.1:9000
  jumbo recv udp://:5514 --framing lines -o -  print datagrams; send one with
    logger -n 127.0.0.1 -P 5514 -d hello
  jumbo recv --help                            everything about receiving
`;

/** Under the options of `jumbo recv --help`. */
export const RECV_HELP = `
Where from:
  tcp://host:port    [::1]:port for IPv6; :port, or port alone, is 127.0.0.1; port 0 is any free one
  tls://host:port    the same, with --cert and --key
  unix:///path       a socket is made there; one that a dead process has left is replaced
  udp://host:port    datagrams, from anybody; see below
  0.0.0.0 and [::] are every interface: anybody who can reach this machine can then fill the disk.
  "listening on URL" on standard error says that senders may begin, and on which port.

Where to write:
  FILE       emptied first. One connection after the other: it is taken by the first that sends something,
             others that send wait, unread, until that one has ended; those that send nothing are in nobody's way.
  -          the same, on standard output. When its reader goes away the session ends, and nothing is wrong.
  FOLDER/    made if need be; connection-0001.bin, connection-0002.bin, ... in the order of their first bytes.
             All connections at a time. Nothing is overwritten: the numbers go on from those found.
             All datagrams together have one file more: datagrams-0003.bin (.txt, .pcap), numbered with the others.
  Without -o bytes are counted and let go.
  Bytes are written from the pages they were received into. When the output is slow reading stops, and the
  sender waits: no more than a part of the pool is ever unwritten.

Datagrams:
  They have no beginning and no end, and none waits for its turn: those of all udp:// URLs are written as they
  come, each in one piece, as --framing says:
  raw        one behind the other, with nothing between.
  lines      a newline after each.
  pcap       a capture for Wireshark, tshark and tcpdump: who sent each one, to which address and port, when it
             was read, how long it was. IP and UDP headers are made up again, so checksums are not those that
             were sent: that of UDP over IPv4 is 0 ("none"). With the dgram engine, a socket on every interface
             does not know which of the addresses was meant, and 0.0.0.0 or :: stands there.
  Nothing makes their senders wait. While the output is slow the kernel keeps what its buffer has room for (on
  Linux, net.core.rmem_max limits that), drops the rest, and counts what it drops.
  A datagram longer than a page is cut, and counted as truncated.
  With GRO, which is on where the kernel has it and pages are 64 KiB, the kernel hands over many datagrams of a
  sender as one; they are datagrams again when they are written, and counted so.
  One file, or standard output, cannot be shared with connections: FOLDER/ can.

When it ends:
  With Ctrl-C (SIGINT) or SIGTERM: what has arrived is written first. A second one ends at once.
  With --once, after the first connection; one that sent nothing counts only when no other is open. With
  udp://, after the first datagram, which alone is written.
  With --duration, or when the output fails. Datagrams that the kernel has by then are read first.

Exit codes:
  0  ended as asked. Connections that failed are reported and counted, and do not change this,
  1  except with --once, where the connection must have ended well, or a datagram have come. The output
     failed, or listening did.
  2  the command line makes no sense.

Examples:
  jumbo recv tcp://127.0.0.1:9000 -o out.bin --once
    socat -u FILE:big.bin TCP:127.0.0.1:9000             send a file with socat
    nc -N 127.0.0.1 9000 < big.bin                       with nc
    curl -T big.bin http://127.0.0.1:9000 --max-time 60  with curl, which sends an HTTP header before it
  jumbo recv tls://:9443 --cert cert.pem --key key.pem -o out.bin
    socat -u FILE:big.bin OPENSSL:127.0.0.1:9443,verify=0
  jumbo recv unix:///tmp/in.sock -o incoming/            a file for each connection
  jumbo recv tcp://:9000 --once -o - | tar x             a folder:  tar c folder | nc -N host 9000
  jumbo recv tcp://:9000 --duration 10 --json            measure: rate, processor time, garbage collection
  jumbo recv udp://:5514 --framing lines -o syslog.txt   logger -n 127.0.0.1 -P 5514 -d hello
  jumbo recv udp://0.0.0.0:53 --framing pcap -o - | tshark -r -    what is sent to that port, as it comes
  jumbo recv udp://:9000 --duration 10 --json            measure: datagrams, batches, kernelDrops; send with
    socat -u -b 1400 FILE:big.bin UDP-SENDTO:127.0.0.1:9000
`;
