#!/bin/sh
# Installs redis-server with apt-get, and leaves its system service off: our tests start servers of their own, and a
# server on port 6379 would be a surprise. Run as root by `cargo xtask test`, only if there is no redis-server.
set -eu
export DEBIAN_FRONTEND=noninteractive

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    # 101: starting services is not allowed.
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi

apt-get update -q
apt-get install -q -y --no-install-recommends redis-server
# Not at the next boot either.
update-rc.d redis-server disable
