#!/bin/sh
# Runs soclab as the mounted repository has it now.
set -eu

if [ ! -f compose.yml ]; then
	echo "The repository is not mounted at /soclab: start the lab with docker compose, in the repository's folder." >&2
	exit 1
fi
mkdir -p data 2>/dev/null || true
if [ ! -w data ]; then
	uid=$(stat -c %u .) gid=$(stat -c %g .)
	echo "User $(id -u) may not write to the repository's folder data, the repository belongs to user $uid." >&2
	if [ "$uid" = 0 ]; then
		echo "Give it to an ordinary user, sudo chown -R $(id -u):$(id -g) ., and start again." >&2
	else
		echo "Put SOCLAB_UID=$uid and SOCLAB_GID=$gid into the file .env beside compose.yml, and start again." >&2
	fi
	exit 1
fi

if [ "$1" = up ] && [ -z "${JUPYTER_TOKEN:-}" ]; then # drawn once, kept in the volume
	[ -s "$HOME/token" ] || (umask 077 && head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$HOME/token")
	JUPYTER_TOKEN=$(cat "$HOME/token")
	export JUPYTER_TOKEN
fi

go build -o "$SOCLAB_HOME/jupyter/bin/" ./cmd/soclab
exec soclab "$@"
