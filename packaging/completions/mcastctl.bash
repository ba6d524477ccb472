# bash completion for mcastctl(1). Commands and options come from "mcastctl --help", groups and handlers from the running
# daemon.

# Reads the rows of --help: into synopses, the arguments of each command; into placeholders, the name of each option's value,
# empty where it has none; into repeated, the options that may be; into keys, those of --where.
_mcastctl_load() { # PROGRAM [COMMAND]
	local line left heading part
	local -a parts

	while IFS= read -r line; do
		if [[ $line != '  '* ]]; then
			heading=$line
			[[ $line != 'Keys'*': '* ]] || IFS=', ' read -ra keys <<<"${line#*: }"
			continue
		fi
		[[ $line != '   '* ]] || continue # an explanation that has a line of its own
		left=${line#  }
		read -ra parts <<<"${left%%  *}"
		if [[ $left != -* ]]; then
			[[ $heading == Commands:* ]] && synopses[${parts[0]}]=${parts[*]:1}
			continue
		fi
		for part in "${parts[@]%,}"; do
			[[ $part == -* ]] || continue
			placeholders[$part]=
			[[ $line != *'may be repeated'* ]] || repeated[$part]=1
			[[ ${parts[-1]} == -* ]] || placeholders[$part]=${parts[-1]}
		done
	done < <("$1" ${2:+"$2"} --help 2>/dev/null)
}

# The names of groups or handlers, or of those that "Join" made or that record; none without a daemon.
_mcastctl_names() { # PROGRAM SOCKET groups|handlers [byJoin|records]
	timeout 2 "$1" ${2:+-s "$2"} --json "$3" 2>/dev/null </dev/null |
		grep -Eo "\"name\":\"[^\"]*\"${4:+(,\"type\":\"[^\"]*\")?,\"$4\":true}" | cut -d '"' -f 4
}

# The groups that a command can do something to.
_mcastctl_groups() { # PROGRAM SOCKET COMMAND
	case $3 in
	leave) _mcastctl_names "$1" "$2" groups byJoin ;;
	tail) _mcastctl_names "$1" "$2" groups | grep -vx events; echo events ;;
	*) _mcastctl_names "$1" "$2" groups | grep -vx events ;;
	esac
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
# takes for an earlier word. Those that are given already are left out.
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
		[[ $line == "$value"* && ! ${given[$line]-} ]] || continue
		line=$prefix$line
		line=${line:${#before}}
		if [[ ! $quoted ]]; then
			printf -v line '%q' "$line"
			line=${line//\\,/,}
		fi
		COMPREPLY+=("$line")
	done
}

# These names of a list are not offered again.
_mcastctl_take() { # LIST
	local part
	local -a parts

	IFS=, read -ra parts <<<"$1"
	for part in "${parts[@]}"; do
		[[ ! $part ]] || given[$part]=1
	done
}

# Offers values for a placeholder: of an option, or of an argument of the command where OPTION is empty.
_mcastctl_offer_value() { # PROGRAM SOCKET OPTION PLACEHOLDER WORD VALUE
	local value=

	case $3,${4#[} in
	--interface,*) _mcastctl_offer "$5" "$6" < <(_mcastctl_interfaces) ;;
	,HANDLER*)
		[[ $command == rotate ]] && value=records || value=
		_mcastctl_offer "$5" "$6" < <(_mcastctl_names "$1" "$2" handlers "$value")
		;;
	--handler,*) _mcastctl_offer "$5" "$6" < <(_mcastctl_names "$1" "$2" handlers) ;;
	--format,*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' line json hex raw pcapng) ;;
	--where,*)
		[[ $6 == *=* ]] || _mcastctl_offer "$5" "$6" < <(printf '%s=\n' "${keys[@]%.}")
		compopt -o nospace 2>/dev/null
		;;
	--speed,*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' 0.1 0.5 2 10 max) ;;
	--map,*)
		[[ $6 != *=* ]] || _mcastctl_offer "$5" "$6" < <(_mcastctl_names "$1" "$2" groups | sed "s|^|${6%%=*}=|")
		;;
	--socket,* | -s,* | *,FILE*) compopt -o default 2>/dev/null ;;
	,COMMAND*) _mcastctl_offer "$5" "$6" < <(printf '%s\n' "${!synopses[@]}") ;;
	,GROUP* | ,NAME* | ,TARGET*)
		value=$6
		if [[ $command == @(send|tail) && $value == *,* ]]; then # the last of a list
			value=${6##*,}
			_mcastctl_take "${6%,*}"
		fi
		if [[ $4 != NAME* && $value == *:*%* ]]; then # of a target
			_mcastctl_offer "$5" "$value" < <(_mcastctl_interfaces | sed "s|^|${value%%%*}%|")
		elif [[ $4 != TARGET* ]]; then
			_mcastctl_offer "$5" "$value" < <(_mcastctl_groups "$1" "$2" "$command")
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
	elif [[ $2 == *[^,]...* ]]; then
		echo "${parts[-1]}"
	fi
}

_mcastctl() {
	local program=$1 socket='' command='' option='' no_options='' literal number=0 word i
	local -a words=() keys=()
	local -A synopses=() placeholders=() repeated=() given=()

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
			[[ ${repeated[${word%%=*}]-} ]] || given[${word%%=*}]=1
		elif [[ $command ]]; then
			number=$((number + 1))
			_mcastctl_take "$word"
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
		if [[ ${synopses[$command]-} =~ ^\[([a-z]+)\]\  ]]; then # a word that may come first, as in "probe send"
			literal=${BASH_REMATCH[1]}
			[[ $number -gt 0 ]] || _mcastctl_offer "$word" "$word" <<<"$literal"
			[[ ${given[$literal]-} ]] || number=$((number + 1))
		fi
		_mcastctl_offer_value "$program" "$socket" '' \
			"$(_mcastctl_placeholder "$number" "${synopses[$command]-}")" "$word" "$word"
	fi
}

complete -F _mcastctl mcastctl
