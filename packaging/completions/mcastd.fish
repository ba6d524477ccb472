# fish completion for mcastd(8). The keys of filters come from "mcastd --help".

# The interfaces, behind the % of a target.
function __mcastd_targets
    set -l target (commandline -ct | string match -r '^.*%')
    test -z "$target"; or printf '%s\n' $target(path basename /sys/class/net/*)
end

function __mcastd_keys
    set -l program (commandline -opc)[1]
    command $program --help | string replace -f -r '^Keys[^:]*: (.*)\.$' '$1' | string split ', ' | string replace -r '$' =
end

complete -c mcastd -f -a '(__mcastd_targets)'
complete -c mcastd -s c -l config -r -F -d 'the configuration'
complete -c mcastd -l check -d 'check the configuration'
complete -c mcastd -l format -x -a 'line json hex raw pcapng' -d 'how targets are printed'
complete -c mcastd -l local-time -d 'timestamps in the local time zone'
complete -c mcastd -l where -x -a '(__mcastd_keys)' -d 'only datagrams that pass this filter'
complete -c mcastd -l count -x -d 'stop after N datagrams'
complete -c mcastd -l timeout -x -d 'stop after TIME'
complete -c mcastd -l version -d 'print the version'
complete -c mcastd -s h -l help -d 'print the options'
