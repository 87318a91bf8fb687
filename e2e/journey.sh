#!/bin/sh
# The whole journey on real input: packs gum (54 modules) and Go for two platforms, signs, verifies and unpacks
# the bundle, and builds gum from it without a network. Needs Go and a module proxy, no more.
#
#	sh e2e/journey.sh [DIR]
#
# All is written below DIR, by default a new temporary directory.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-$(mktemp -d)}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

run() {
	printf '\n$ %s\n' "$*"
	"$@"
}

go build -trimpath -o "$dir/bin/" ./cmd/goferry
PATH=$dir/bin:$PATH

# The project: a copy of gum's source, as a checkout would be.
source=$(cd "$dir" && GOFLAGS=-mod=mod go mod download -json github.com/charmbracelet/gum@v0.14.5 | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
rm -rf "$dir/gum"
cp -R "$source" "$dir/gum"
chmod -R u+w "$dir/gum"

# Where there is a network. The password of the key is an empty one here.
export COSIGN_PASSWORD=
[ -e "$dir/release.key" ] || run goferry keygen --out "$dir/release"
run goferry pack -C "$dir/gum" --sign-key "$dir/release.key" --toolchain go1.26.8 --platform linux/amd64,linux/arm64 -o "oci:$dir/bundle:v1"
run goferry inspect "oci:$dir/bundle:v1"

# Where there is none: the public key, no network, an empty home, nothing of the environment, no other Go.
run goferry verify --key "$dir/release.pub" "oci:$dir/bundle:v1"
if [ "$(go env GOOS)" != linux ]; then
	echo "The bundle is for Linux: unpack it there."
	exit 0
fi
run goferry unpack --key "$dir/release.pub" "oci:$dir/bundle:v1" "$dir/offline"
mkdir -p "$dir/home"
script=". '$dir/offline/current/env' && cd '$dir/gum' && set -x && go version && go env GOPROXY GOSUMDB && go build -o '$dir/bin/gum' . && go vet . && go mod tidy && go mod verify && '$dir/bin/gum' --version"
if unshare -rn true 2>/dev/null; then
	run unshare -rn env -i "HOME=$dir/home" PATH=/usr/bin:/bin sh -c "$script"
elif unshare -n true 2>/dev/null; then
	run unshare -n env -i "HOME=$dir/home" PATH=/usr/bin:/bin sh -c "$script"
else
	echo "unshare cannot take the network away here; the go command is told not to use it all the same."
	run env -i "HOME=$dir/home" PATH=/usr/bin:/bin sh -c "$script"
fi
printf '\nBuilt without a network: %s\n' "$dir/bin/gum"
