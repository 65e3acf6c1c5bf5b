#!/bin/sh
# Installs Debian packages without starting a daemon of theirs, now or at the next boot.
# As root: sh xtask/install.sh PACKAGE...   (`cargo xtask setup` knows which.)
set -eu
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
policy=/usr/sbin/policy-rc.d
before=$policy.before-oopsd
installed=$(mktemp)
said=$(mktemp)

exec 9</usr/sbin
flock 9

# Puts back the policy that was there, or none. Also what a killed run left behind, known by the mark.
restore() {
    if grep -qs 'oopsd setup' "$policy"; then rm -f "$policy"; fi
    if [ -e "$before" ] || [ -L "$before" ]; then mv -f "$before" "$policy"; fi
}
restore
trap 'restore; rm -f "$installed" "$said"' EXIT
trap 'exit 130' HUP INT TERM

list() { dpkg-query -W -f '${db:Status-Status} ${binary:Package}\n' | sed -n 's/^installed //p' | sort; }
list >"$installed"

if [ -e "$policy" ] || [ -L "$policy" ]; then mv "$policy" "$before"; fi
printf '#!/bin/sh\n# oopsd setup: nothing starts while it installs\nexit 101\n' >"$policy"
chmod 755 "$policy"

quietly() { "$@" >"$said" 2>&1; }
update() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update; }
# What is here stays: nothing is removed for the sake of what comes.
install() { apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 install -y --no-remove --no-install-recommends "$@"; }
# The lists are fetched when they do not know a package, or know one that the mirror no longer has.
quietly apt-get -s install --no-install-recommends "$@" || update
quietly install "$@" || { update && quietly install "$@"; } || { cat "$said" >&2; exit 1; }

# What was not here before and would start at boot is somebody's choice, not this script's.
for package in $(list | comm -13 "$installed" -); do
    for file in $(dpkg -L "$package"); do
        case $file in
        */lib/systemd/system/*@.*) ;;
        */lib/systemd/system/*.service | */lib/systemd/system/*.socket | */lib/systemd/system/*.timer | */lib/systemd/system/*.path)
            if command -v systemctl >/dev/null; then systemctl -q disable "${file##*/}" >/dev/null 2>&1 || true; fi ;;
        /etc/init.d/*)
            update-rc.d "${file##*/}" disable >/dev/null 2>&1 || true ;;
        esac
    done
done
