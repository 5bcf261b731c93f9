#!/bin/bash
# Nothing of a fence outlives its container: leftovers.py says what is looked at.
#
#   aftermath_check               both of what follows (teardown)
#   leftovers_mark                remembers the present state (setup)
#   leftovers_check [SECONDS]     fails, naming it, if something new is still there after SECONDS (3)
#   faults_check                  fails, showing them, if a sanitizer of an instrumented build found something

leftovers_mark() {
	/usr/bin/python3 "$DF_LIB/leftovers.py" snapshot "$DF_HOST/leftovers.mark"
}

leftovers_check() {
	/usr/bin/python3 "$DF_LIB/leftovers.py" check "$DF_HOST/leftovers.mark" "${1:-3}"
}

# Each fault belongs to the test that it ends.
faults_check() {
	local file status=0
	for file in "$DF_FAULTS"/*; do
		[ -s "$file" ] || continue
		echo "${file##*/}:"
		cat "$file"
		status=1
	done
	rm -f "$DF_FAULTS"/*
	return "$status"
}

aftermath_check() {
	local status=0
	leftovers_check 3 || status=1 # waits for the last process, which may find something at its end
	faults_check || status=1
	return "$status"
}
