/** Under the options of `jumbo --help`. */
export const PROGRAM_HELP = `
Examples:
  jumbo                                        receive 1 GiB over loopback and see what it costs
  jumbo recv tcp://127.0.0.1:9000 -o out.bin   receive a file; send one with
    socat -u FILE:big.bin TCP:127.0.0.1:9000
  jumbo recv --help                            everything about receiving
`;

/** Under the options of `jumbo recv --help`. */
export const RECV_HELP = `
Where to listen:
  tcp://host:port    [::1]:port for IPv6; :port, or port alone, is 127.0.0.1; port 0 is any free one
  tls://host:port    the same, with --cert and --key
  unix:///path       a socket is made there; one that a dead process has left is replaced
  0.0.0.0 and [::] are every interface: anybody who can reach this machine can then fill the disk.
  "listening on URL" on standard error says that senders may connect, and on which port.

Where to write:
  FILE       emptied first. One connection after the other: it is taken by the first that sends something,
             others that send wait, unread, until that one has ended; those that send nothing are in nobody's way.
  -          the same, on standard output. When its reader goes away the session ends, and nothing is wrong.
  FOLDER/    made if need be; connection-0001.bin, connection-0002.bin, ... in the order of their first bytes.
             All connections at a time. Nothing is overwritten: the numbers go on from those found.
  Without -o bytes are counted and let go.
  Bytes are written from the pages they were received into. When the output is slow reading stops, and the
  sender waits: no more than a part of the pool is ever unwritten.

When it ends:
  With Ctrl-C (SIGINT) or SIGTERM: what has arrived is written first. A second one ends at once.
  With --once, after the first connection; one that sent nothing counts only when no other is open.
  With --duration, or when the output fails.

Exit codes:
  0  ended as asked. Connections that failed are reported and counted, and do not change this,
  1  except with --once, where the connection must have ended well. The output failed, or listening did.
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
`;
