# fish completion for mcastctl(1). Commands and options come from "mcastctl --help", groups and handlers from the running
# daemon.

# The rows of --help under headings that begin so: what is on the left, a tab, and the explanation.
function __mcastctl_rows -a program heading # [COMMAND]
    command $program $argv[3] --help 2>/dev/null </dev/null | awk -v heading=$heading '
        function put() { if (left != "") print left "\t" help; left = "" }
        /^[^ ]/ { put(); inside = index($0, heading) == 1 }
        inside && /^  [^ ]/ {
            put()
            left = substr($0, 3); help = ""
            if (match(left, /  +/)) { help = substr(left, RSTART + RLENGTH); left = substr(left, 1, RSTART - 1) }
        }
        inside && /^   / { help = $0; sub(/^ +/, "", help) }
        END { put() }'
end

# The names of groups or handlers, or of those that "Join" made or that record; none without a daemon.
function __mcastctl_names -a program socket what flag
    set -l pattern '"name":"[^"]*"'
    test -z "$flag"; or set pattern $pattern"(,\"type\":\"[^\"]*\")?,\"$flag\":true"
    set -l arguments --json $what
    test -z "$socket"; or set -p arguments -s $socket
    timeout 2 $program $arguments 2>/dev/null </dev/null | grep -Eo $pattern | cut -d '"' -f 4
end

# The groups that a command can do something to.
function __mcastctl_groups -a program socket command
    switch $command
        case leave
            __mcastctl_names $program "$socket" groups byJoin
        case tail
            __mcastctl_names $program "$socket" groups | string match -v events
            echo events
        case '*'
            __mcastctl_names $program "$socket" groups | string match -v events
    end
end

# Values for a placeholder: of an option, or of an argument of the command where the option is empty.
function __mcastctl_values -a program socket command option placeholder word
    switch $option,(string trim -c '[' -- $placeholder)
        case '--interface,*'
            path basename /sys/class/net/*
        case ',HANDLER*'
            set -l flag
            test $command = rotate; and set flag records
            __mcastctl_names $program "$socket" handlers $flag
        case '--handler,*'
            __mcastctl_names $program "$socket" handlers
        case '--format,*'
            printf '%s\n' line json hex raw pcapng
        case '--where,*'
            string match -q '*=*' -- $word
            or command $program $command --help | string replace -f -r '^Keys[^:]*: (.*)\.$' '$1' | string split ', ' |
                string replace -r '$' =
        case '--speed,*'
            printf '%s\n' 0.1 0.5 2 10 max
        case '--map,*'
            set -l address (string match -r '^[^=]*=' -- $word)
            and printf '%s\n' $address(__mcastctl_groups $program "$socket" $command)
        case '--socket,*' '-s,*' '*,FILE*'
            __fish_complete_path $word
        case ',COMMAND*'
            __mcastctl_rows $program Commands | string replace -r '^(\S+)[^\t]*' '$1'
        case ',GROUP*' ',NAME*' ',TARGET*'
            set -l list (string match -r '^.*,' -- $word)
            contains $command send tail; or set list
            set -l last (string sub -s (math (string length -- "$list") + 1) -- $word)
            if string match -q -r '^[^%]*:[^%]*%' -- $last; and not string match -q 'NAME*' $placeholder
                set -l target (string match -r "^.*%" -- $word)
                printf '%s\n' $target(path basename /sys/class/net/*)
            else if not string match -q 'TARGET*' $placeholder
                set -l named (string split , -- $list)
                for name in (__mcastctl_groups $program "$socket" $command)
                    contains -- $name $named; or echo "$list$name"
                end
            end
    end
end

# The options of --help, one a line, with what they are.
function __mcastctl_options -a program
    __mcastctl_rows $program Options $argv[2] | string replace -r '^(?:-., )?(--[a-z-]+)[^\t]*' '$1'
end

# Whether an option takes a value: then its placeholder.
function __mcastctl_placeholder -a program option
    __mcastctl_rows $program Options $argv[3] |
        string replace -f -r '^(?:(-.), )?(--[a-z-]+) (\S+)\t.*' '$1 $2 $3' | string match -r '(?:^| )'(string escape --style=regex -- $option)' .*' |
        string split ' ' | tail -n 1
end

function __mcastctl_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program $words[1]
    set -l socket
    set -l command
    set -l option
    set -l number 0
    set -l given
    for part in $words[2..]
        if test -n "$option"
            contains -- $option -s --socket; and set socket $part
            set option
        else if string match -q -- '--socket=*' $part
            set socket (string replace -- --socket= '' $part)
        else if string match -q -r -- '^-s.' $part
            set socket (string sub -s 3 -- $part)
        else if string match -q -r -- '^-.' $part # since fish 4, ? is no pattern
            set -a given (string replace -r '=.*' '' -- $part)
            set -l placeholder (__mcastctl_placeholder $program $part $command)
            set -q placeholder[1]; and set option $part
        else if test -n "$command"
            set number (math $number + 1)
            set -a given (string split , -- $part)
        else
            set command $part
        end
    end
    if test -n "$option"
        __mcastctl_values $program "$socket" "$command" $option (__mcastctl_placeholder $program $option $command) "$word"
    else if string match -q -- '--*=*' $word
        set option (string replace -r '=.*' '' -- $word)
        printf '%s\n' $option=(__mcastctl_values $program "$socket" "$command" $option VALUE (string replace -r '^[^=]*=' '' -- $word))
    else if string match -q -- '-*' $word
        for row in (__mcastctl_options $program $command)
            set -l name (string split \t -- $row)[1]
            contains -- $name $given; and not string match -q '*may be repeated*' -- $row; and continue
            printf '%s\n' $row
        end
    else if test -z "$command"
        __mcastctl_values $program '' '' '' COMMAND "$word"
    else
        set -l synopsis (__mcastctl_rows $program Commands | string replace -f -r '^'$command'(?: ([^\t]*))?\t.*' '$1' | string split -n ' ')
        set -l placeholder
        if string match -q -r '^\[[a-z]+\]$' -- $synopsis[1] # a word that may come first, as in "probe send"
            set -l literal (string trim -c '[]' -- $synopsis[1])
            test $number -gt 0; or echo $literal
            contains -- $literal $given; or set number (math $number + 1)
        end
        if test $number -lt (count $synopsis)
            set placeholder $synopsis[(math $number + 1)]
        else if string match -q -r '[^,]\.\.\.' -- "$synopsis"
            set placeholder $synopsis[-1]
        end
        test -n "$placeholder"; or return
        for value in (__mcastctl_values $program "$socket" $command '' $placeholder "$word")
            contains -- $value $given; or printf '%s\n' $value
        end
    end
end

complete -c mcastctl -f -a '(__mcastctl_complete)'
