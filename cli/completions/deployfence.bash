# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Completion of deployfence(1) for bash.

# Policies by name, from where the hook looks for them.
_deployfence_policies() {
	local file
	for file in /etc/deployfence/policies/*.policy /usr/share/deployfence/policies/*.policy; do
		[ ! -e "$file" ] || basename "$file" .policy
	done
}

# Ids of fences; nothing where /run/deployfence cannot be read.
_deployfence_ids() {
	local directory
	for directory in /run/deployfence/*/; do
		[ ! -d "$directory" ] || basename "$directory"
	done
}

_deployfence_from() { # WORDS WORD: those that begin with what was typed
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$1" -- "$2")
}

_deployfence_files() { # REGEX WORD: files of that kind, and directories
	local name
	compopt -o filenames
	while read -r name; do
		[ ! -d "$name" ] && [[ ! $name =~ $1 ]] || COMPREPLY+=("$name")
	done < <(compgen -f -- "$2")
}

_deployfence() {
	local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		_deployfence_from 'check logs report --help --version' "$word"
		return
	fi
	case ${COMP_WORDS[1]}:$last:$word in
	check:-p:* | check:--policy:*)
		_deployfence_from "$(_deployfence_policies)" "$word"
		_deployfence_files '\.policy$' "$word"
		;;
	check:*:-*) _deployfence_from '-p --policy --json --help' "$word" ;;
	logs:*:-*) _deployfence_from '-f --follow --help' "$word" ;;
	logs:*) _deployfence_from "$(_deployfence_ids)" "$word" ;;
	report:--format:*) _deployfence_from 'text json sarif html dot' "$word" ;;
	report:--since:*) _deployfence_from '1h 24h 7d 30d' "$word" ;;
	report:--baseline:*) _deployfence_files '\.jsonl?(\.1)?$' "$word" ;;
	report:-o:* | report:--output:*) _deployfence_files '' "$word" ;;
	report:*:-*)
		_deployfence_from '--all --since --baseline --summary --graph --format --json -o --output --help' "$word"
		;;
	report:*)
		_deployfence_from "$(_deployfence_ids)" "$word"
		_deployfence_files '\.jsonl?(\.1)?$' "$word"
		;;
	esac
}

complete -F _deployfence deployfence
