#!/bin/bash
# Nothing of a fence outlives its container: leftovers.py says what is looked at.
#
#   leftovers_mark                remembers the present state (setup)
#   leftovers_check [SECONDS]     fails, naming it, if something new is still there after SECONDS (3) (teardown)

leftovers_mark() {
	/usr/bin/python3 "$DF_LIB/leftovers.py" snapshot "$DF_HOST/leftovers.mark"
}

leftovers_check() {
	/usr/bin/python3 "$DF_LIB/leftovers.py" check "$DF_HOST/leftovers.mark" "${1:-3}"
}
