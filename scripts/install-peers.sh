#!/usr/bin/env bash
#
# Installs the programs that the tests talk to and that nobody here wrote, on Debian and its relatives.
#
#     scripts/install-peers.sh
#
# Installs only what is missing, so that it is quick when everything is there. Needs root, or sudo without a question.
# No service is left running: the tests start their own nginx, on their own port, with their own configuration.
# Exit status: 0 all present, 1 something is still missing (the tests that need it skip themselves and say so).
set -euo pipefail

# Some of these live where the PATH of an ordinary user does not look.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export DEBIAN_FRONTEND=noninteractive

# package:command pairs; for a package without a command, a file of its own
readonly peers=(
  socat:socat
  netcat-openbsd:nc.openbsd
  curl:curl
  iperf3:iperf3
  tshark:tshark
  nginx:nginx
  libnginx-mod-stream:/usr/lib/nginx/modules/ngx_stream_module.so
  haproxy:haproxy
  openssl:openssl
  man-db:man
  bind9-dnsutils:dig
  bsdutils:logger
)

missing_packages() {
  local peer
  for peer in "${peers[@]}"; do
    [ -e "${peer#*:}" ] || command -v "${peer#*:}" >/dev/null || echo "${peer%%:*}"
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

# While this file says 101, Debian's maintainer scripts start no service. A policy that is already there is left alone.
readonly policy=/usr/sbin/policy-rc.d
wrote_policy=no
allow_services() {
  if [ "$wrote_policy" = yes ]; then as_root rm -f "$policy"; fi
}
forbid_services() {
  if [ -e "$policy" ]; then return; fi
  wrote_policy=yes
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
  as_root chmod 755 "$policy"
}

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -eq 0 ]; then
  echo "peers: all present"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "peers: no apt-get here; missing: ${missing[*]}"
  exit 1
fi
if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
  echo "peers: not root, and no sudo without a password; missing: ${missing[*]}"
  exit 1
fi

echo "peers: installing ${missing[*]}"
trap allow_services EXIT
forbid_services
as_root apt-get update -qq || echo "peers: apt-get update failed, trying with the lists at hand"
as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null >/dev/null || true

# Fresh ones would start at the next boot.
for service in nginx haproxy; do
  if [[ " ${missing[*]} " == *" $service "* ]] && command -v systemctl >/dev/null; then
    as_root systemctl disable "$service" >/dev/null 2>&1 || true
  fi
done

mapfile -t missing < <(missing_packages)
if [ "${#missing[@]}" -gt 0 ]; then
  echo "peers: still missing: ${missing[*]}"
  exit 1
fi
echo "peers: all present"
