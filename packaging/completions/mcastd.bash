# bash completion for mcastd(8).

# The interfaces, behind the % of a target: readline has split the word at its colons.
_mcastd_offer_interfaces() { # WORD
	local path

	for path in /sys/class/net/*/; do
		path=${path%/}
		path=${1%%%*}%${path##*/}
		[[ $path != "$1"* ]] || COMPREPLY+=("$path")
	done
}

_mcastd() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	[[ $word != = ]] || word=
	[[ $previous != = || $COMP_CWORD -lt 2 ]] || previous=${COMP_WORDS[COMP_CWORD - 2]}
	case $previous,$word in
	-c,* | --config,*) compopt -o default 2>/dev/null ;;
	--format,*) mapfile -t COMPREPLY < <(compgen -W 'line json hex raw' -- "$word") ;;
	*,-*)
		mapfile -t COMPREPLY < <(compgen -W \
			'-c --config --check --format --count --timeout --version -h --help' -- "$word")
		;;
	*,*%*) _mcastd_offer_interfaces "$word" ;;
	esac
	return 0
}

complete -F _mcastd mcastd
