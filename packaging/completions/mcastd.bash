# bash completion for mcastd(8). Options come from "mcastd --help".

_mcastd_options() { # PROGRAM
	"$1" --help 2>/dev/null </dev/null | grep -Eo '^ {2,6}(-[a-z], )?--[a-z-]+' | tr -s ' ,' '\n'
}

# The keys of --where.
_mcastd_keys() { # PROGRAM
	"$1" --help 2>/dev/null </dev/null | sed -n 's/^Keys[^:]*: \(.*\)\.$/\1/p' | sed 's/, \|$/=\n/g'
}

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
	--format,*) mapfile -t COMPREPLY < <(compgen -W 'line json hex raw pcapng' -- "$word") ;;
	--where,*)
		mapfile -t COMPREPLY < <(compgen -W "$(_mcastd_keys "$1")" -- "$word")
		compopt -o nospace 2>/dev/null
		;;
	*,-*) mapfile -t COMPREPLY < <(compgen -W "$(_mcastd_options "$1")" -- "$word") ;;
	*,*%*) _mcastd_offer_interfaces "$word" ;;
	esac
	return 0
}

complete -F _mcastd mcastd
