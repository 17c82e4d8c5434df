#!/bin/sh
# Puts packages into a signed apt repository, made by reprepro(1) if there is none yet. Called by `make repo`.
# usage: repository.sh FOLDER KEY PACKAGE.deb...
# FOLDER is what the web server gives out; reprepro's own files go to FOLDER.reprepro, which stays here with the key.
set -eu

die() {
	echo "repository.sh: $*" >&2
	exit 1
}

[ $# -ge 3 ] || die "usage: repository.sh FOLDER KEY PACKAGE.deb..."
folder=$1 key=$2
shift 2
[ -n "$key" ] || die "no key: make repo KEY=ADDRESS, of a key that was made once by:
  gpg --quick-generate-key 'packages <packages@example.org>' ed25519 sign"
for package in "$@"; do [ -r "$package" ] || die "$package cannot be read"; done

# The fingerprint names one key; an address may name several (gpg's doc/DETAILS: fields 1 and 10 of the colon format).
prints=$(gpg --batch --with-colons --list-secret-keys -- "$key" 2>/dev/null |
	awk -F: '$1 == "sec" { first = 1 } $1 == "fpr" && first { print $10; first = 0 }')
case $prints in
"") die "gpg has no secret key '$key'" ;;
*"
"*) die "'$key' names several keys; give the fingerprint of one: $(echo "$prints" | tr '\n' ' ')" ;;
esac

mkdir -p "$folder" "$folder.reprepro/conf"
cat >"$folder.reprepro/conf/distributions" <<TEXT
Origin: modem-agent
Label: modem-agent
Codename: stable
Suite: stable
Architectures: amd64 arm64 armhf
Components: main
Description: The agent of 4G modems
SignWith: $prints
TEXT
for package in "$@"; do
	# reprepro passes over a version older than what it has, as if it had taken it.
	if ! reprepro --silent --basedir "$folder.reprepro" --outdir "$(realpath "$folder")" includedeb stable "$package" ||
		[ -z "$(find "$folder/pool" -name '*.deb' -exec cmp -s {} "$package" \; -print)" ]; then
		die "$package is not taken: its version stands there with another content, or a newer one does"
	fi
done
gpg --batch --yes --export --output "$folder/modem-agent.gpg" "$prints"
echo "$folder: $(reprepro --basedir "$folder.reprepro" list stable | sed 's/.*: //' | sort -u)"
echo "signed by $prints"
