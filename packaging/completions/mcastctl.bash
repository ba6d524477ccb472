# bash completion for mcastctl(1). Commands and options come from "mcastctl --help", groups and handlers from the running
# daemon.

# Reads the rows of --help: into synopses, the arguments of each command; into placeholders, the name of each option's value,
# empty where it has none.
_mcastctl_load() { # PROGRAM [COMMAND]
	local line left heading part
	local -a parts

	while IFS= read -r line; do
		if [[ $line != '  '* ]]; then
			heading=$line
			continue
		fi
		left=${line#  }
		read -ra parts <<<"${left%%  *}"
		if [[ $left != -* ]]; then
			[[ $heading == Commands:* ]] && synopses[${parts[0]}]=${parts[*]:1}
			continue
		fi
		for part in "${parts[@]%,}"; do
			[[ $part == -* ]] || continue
			placeholders[$part]=
			[[ ${parts[-1]} == -* ]] || placeholders[$part]=${parts[-1]}
		done
	done < <("$1" ${2:+"$2"} --help 2>/dev/null)
}

# The names of groups or handlers; none without a daemon.
_mcastctl_names() { # PROGRAM SOCKET groups|handlers
	timeout 2 "$1" ${2:+-s "$2"} --json "$3" 2>/dev/null </dev/null |
		grep -o '"name":"[^"]*"' | cut -d '"' -f 4
}

_mcastctl_interfaces() {
	local path

	for path in /sys/class/net/*/; do
		path=${path%/}
		echo "${path##*/}"
	done
}

# Joins what readline has split at = and :, as in --ttl=1 and 233.252.0.1:5004.
_mcastctl_words() {
	local i glue=

	for ((i = 0; i <= COMP_CWORD; i++)); do
		if [[ $i -gt 1 && ($glue || ${COMP_WORDS[i]} == [=:]*) ]]; then
			words[-1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
		fi
		glue=
		[[ ${COMP_WORDS[i]} != *[=:] ]] || glue=1
	done
}

# Offers the lines of standard input that begin with VALUE, the end of WORD: quoted for the shell, and without what readline
# takes for an earlier word.
_mcastctl_offer() { # WORD VALUE
	local value=${2//\\/} line prefix=${1%"$2"} current=${COMP_WORDS[COMP_CWORD]} before quoted=

	[[ ${current//[=:]/} ]] || current=
	before=${1%"$current"}
	before=${before//\\/}
	if [[ $value == [\"\']* ]]; then
		quoted=1
		value=${value:1}
	fi
	while IFS= read -r line; do
		[[ $line == "$value"* ]] || continue
		line=$prefix$line
		line=${line:${#before}}
		[[ $quoted ]] || printf -v line '%q' "$line"
		COMPREPLY+=("$line")
	done
}

# Offers values for a placeholder: of an option, or of an argument where OPTION is empty.
_mcastctl_offer_value() { # PROGRAM SOCKET OPTION PLACEHOLDER WORD VALUE
	case $3,${4#[} in
	--interface,*) _mcastctl_offer "$5" "$6" < <(_mcastctl_interfaces) ;;
	--handler,* | ,HANDLER*) _mcastctl_offer "$5" "$6" < <(_mcastctl_names "$1" "$2" handlers) ;;
	--format,*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' line json hex raw) ;;
	--speed,*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' 0.1 0.5 2 10 max) ;;
	--socket,* | -s,* | *,FILE*) compopt -o default 2>/dev/null ;;
	,COMMAND*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' "${!synopses[@]}") ;;
	,GROUP* | ,NAME* | ,TARGET*)
		if [[ $4 != NAME* && $6 == *:*%* ]]; then # of a target
			_mcastctl_offer "$5" "$6" < <(_mcastctl_interfaces | sed "s|^|${6%%%*}%|")
		elif [[ $4 != TARGET* ]]; then
			_mcastctl_offer "$5" "$6" < <(_mcastctl_names "$1" "$2" groups)
		fi
		;;
	esac
	return 0
}

# The placeholder of an argument; NUMBER counts from 0.
_mcastctl_placeholder() { # NUMBER SYNOPSIS
	local -a parts

	read -ra parts <<<"$2"
	if [[ $1 -lt ${#parts[@]} ]]; then
		echo "${parts[$1]}"
	elif [[ $2 == *...* ]]; then
		echo "${parts[-1]}"
	fi
}

_mcastctl() {
	local program=$1 socket='' command='' option='' no_options='' number=0 word i
	local -a words=()
	local -A synopses=() placeholders=()

	COMPREPLY=()
	_mcastctl_words
	_mcastctl_load "$program"
	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		if [[ $option ]]; then
			[[ $option != -s && $option != --socket ]] || socket=$word
			option=
		elif [[ ! $no_options && $word == -- ]]; then
			no_options=1
		elif [[ ! $no_options && $word == --socket=* ]]; then
			socket=${word#*=}
		elif [[ ! $no_options && $word == -s?* ]]; then
			socket=${word#-s}
		elif [[ ! $no_options && $word == -?* ]]; then
			[[ ! ${placeholders[$word]-} ]] || option=$word
		elif [[ $command ]]; then
			number=$((number + 1))
		else
			command=$word
			[[ ! ${synopses[$command]+known} ]] || _mcastctl_load "$program" "$command"
		fi
	done
	word=${words[-1]}
	if [[ $option ]]; then
		_mcastctl_offer_value "$program" "$socket" "$option" "${placeholders[$option]}" "$word" "$word"
	elif [[ ! $no_options && $word == --*=* ]]; then
		option=${word%%=*}
		_mcastctl_offer_value "$program" "$socket" "$option" "${placeholders[$option]-}" "$word" "${word#*=}"
	elif [[ ! $no_options && $word == -* ]]; then
		_mcastctl_offer "$word" "$word" < <(printf '%s\n' "${!placeholders[@]}")
	elif [[ ! $command ]]; then
		_mcastctl_offer "$word" "$word" < <(printf '%s\n' "${!synopses[@]}")
	else
		_mcastctl_offer_value "$program" "$socket" '' \
			"$(_mcastctl_placeholder "$number" "${synopses[$command]-}")" "$word" "$word"
	fi
}

complete -F _mcastctl mcastctl
