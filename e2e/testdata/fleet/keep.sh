#!/bin/sh
# Brings directories to what a bundle has, and touches none that has it already:
#
#	sh keep.sh KEY REF DIR…
set -eu
key=$1 ref=$2
shift 2

for dir; do
	code=0
	goferry unpack --check --key "$key" "$ref" "$dir" || code=$?
	case $code in
	0) ;;
	1) goferry unpack --quiet --key "$key" "$ref" "$dir" ;;
	*) exit "$code" ;;
	esac
done
exec goferry status --check "$@"
