#!/usr/bin/env bash
# Installs the servers that the benches are measured against (Debian: redis-server, rabbitmq-server) and lets none of them
# start as a service: `redis.ts` and `rabbitmq.ts` start their own. Idempotent; needs root. PostgreSQL comes from npm.
set -euo pipefail
packages=(redis-server rabbitmq-server)
missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

# Debian asks this file whether a package may start its service; 101 is no.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
