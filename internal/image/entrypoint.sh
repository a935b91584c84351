#!/bin/sh
# Runs soclab as the mounted repository has it now.
set -eu

if [ ! -f /soclab/go.mod ]; then
	echo "The repository is not mounted at /soclab: start the lab with docker compose, in the repository's folder." >&2
	exit 1
fi
mkdir -p /soclab/data 2>/dev/null || true
if [ ! -w /soclab/data ]; then
	echo "User $(id -u) may not write to the repository's folder data, which belongs to user $(stat -c %u /soclab)." >&2
	echo "Put SOCLAB_UID=$(stat -c %u /soclab) and SOCLAB_GID=$(stat -c %g /soclab) into the file .env beside compose.yml, and start again." >&2
	exit 1
fi

if [ "$1" = up ] && [ -z "${JUPYTER_TOKEN:-}" ]; then # drawn once, kept in the volume
	[ -s "$HOME/token" ] || (umask 077 && head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$HOME/token")
	JUPYTER_TOKEN=$(cat "$HOME/token")
	export JUPYTER_TOKEN
fi

go build -o "$SOCLAB_HOME/jupyter/bin/" ./cmd/soclab
exec soclab "$@"
