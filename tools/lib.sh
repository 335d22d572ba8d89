# shellcheck shell=bash
# lib.sh: what the scripts in tools/ share: which PostgreSQL, which ordinary user runs it, and where private trees and
# data live. Sourced, never run.
#
#   .pg/<major>/tree      a copy of the server with this extension installed over it
#   .pg/<major>/<name>    one private server: data/, log, and sock (a folder, or a link to one with a shorter path)
#
# .pg is a folder of the checkout. When the user who runs the server cannot enter the checkout (a clone below /root,
# say), .pg is a link to a folder under /var/tmp instead.

set -euo pipefail
umask 022

VC_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

say() { printf '%s\n' "$*" >&2; }
die() { say "$(basename "$0"): $*"; exit 1; }

# Sets PG_CONFIG, PG_BIN, PG_MAJOR. PG_CONFIG from the environment wins; then the one on the PATH; then Debian's newest.
find_postgres()
{
	local candidate version

	if [ -z "${PG_CONFIG:-}" ]; then
		PG_CONFIG=pg_config
		for candidate in $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -V); do
			command -v pg_config > /dev/null || PG_CONFIG=$candidate
		done
	fi
	command -v "$PG_CONFIG" > /dev/null || die "pg_config not found: run tools/packages build, or set PG_CONFIG"
	PG_BIN=$("$PG_CONFIG" --bindir)
	PG_CONFIG=$PG_BIN/pg_config
	version=$("$PG_CONFIG" --version)
	PG_MAJOR=$(sed -E 's/^[^0-9]*([0-9]+).*/\1/' <<< "$version")
	[ -x "$PG_BIN/postgres" ] || die "no server in $PG_BIN: install postgresql-$PG_MAJOR (tools/packages build does)"
	export PG_CONFIG PG_BIN PG_MAJOR
}

# Prints the user who runs servers and server-side tests. PostgreSQL refuses root, so root hands over to VC_USER, or
# postgres, or nobody; anyone else is that user already.
server_user()
{
	local user

	if [ "$(id -u)" != 0 ]; then
		id -un
		return
	fi
	for user in ${VC_USER:-} postgres nobody; do
		if id -u "$user" > /dev/null 2>&1 && [ "$(id -u "$user")" != 0 ]; then
			printf '%s\n' "$user"
			return
		fi
	done
	die "found no ordinary user to run the server: set VC_USER"
}

# Runs a command as server_user, from a directory that user can enter.
as_server_user()
{
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec setpriv --reuid="$(server_user)" --regid="$(id -g "$(server_user)")" --init-groups \
			env HOME=/ USER="$(server_user)" LOGNAME="$(server_user)" "$@")
	else
		"$@"
	fi
}

# Sets PG_HOME to .pg/<major>, made on first use, with every directory above it open to server_user.
find_home()
{
	local link=$VC_ROOT/.pg

	if [ ! -e "$link" ]; then
		rm -f "$link"
		if as_server_user test -x "$VC_ROOT"; then
			mkdir "$link"
		else
			ln -s "$(mktemp -d /var/tmp/vectorcoll.XXXXXX)" "$link"
			chmod 755 "$link/"
			say "$(server_user) cannot enter $VC_ROOT: private servers live in $(readlink "$link")"
		fi
	fi
	PG_HOME=$(cd "$link" && pwd -P)/$PG_MAJOR
	mkdir -p "$PG_HOME"
	export PG_HOME
}

# Sets TREE and TREE_BIN, where the private copy of the server is or will be. PostgreSQL finds its share and lib
# folders relative to its own binary, so a copy keeps the layout of the original below another root.
find_tree()
{
	TREE=$PG_HOME/tree
	TREE_BIN=$TREE$PG_BIN
	export TREE TREE_BIN
}

# Copies the server into the tree unless the copy there is newer than anything installed since. Files are replaced, never
# overwritten, so servers that run from the tree keep what they have open.
make_tree()
{
	local version from stamp=$TREE/version stale=

	version=$("$PG_BIN/postgres" --version)
	[ "$(cat "$stamp" 2> /dev/null || true)" = "$version" ] || stale=yes
	for from in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)/extension"; do
		[ "$stamp" -nt "$from" ] || stale=yes
	done
	[ -n "$stale" ] || return 0
	say "copying $version to $TREE"
	for from in "$PG_BIN" "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)"; do
		mkdir -p "$TREE$from"
		cp -a --reflink=auto --remove-destination -T "$from" "$TREE$from"
	done
	printf '%s\n' "$version" > "$stamp"
}
