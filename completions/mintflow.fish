# SPDX-License-Identifier: Apache-2.0
# fish completion for mintflow

function __mintflow_tunnels
    for f in /run/mintflow/*.sock
        basename $f .sock
    end
end

# Interfaces, nodes or sessions of the tunnel: asked of the running program.
function __mintflow_names
    mintflow show $argv[1] --all --json 2>/dev/null |
        sed -n "s/^ *\"$argv[2]\": \"\\([A-Za-z0-9_=+.-]*\\)\".*/\\1/p" | sort -u
end

function __mintflow_before
    contains -- (commandline -opc)[-1] $argv
end

# Where a word may stand that chooses sessions.
function __mintflow_chooses
    __fish_seen_subcommand_from close sessions; and not __mintflow_before via app to state name
end

function __mintflow_in
    __fish_seen_subcommand_from $argv
end

complete -c mintflow -f
complete -c mintflow -n __fish_use_subcommand -l help -d 'List the commands'
complete -c mintflow -n __fish_use_subcommand -l version -d 'Print the version'
complete -c mintflow -n __fish_use_subcommand -a run -d 'Run in the foreground'
complete -c mintflow -n __fish_use_subcommand -a check -d 'Load and check a profile'
complete -c mintflow -n __fish_use_subcommand -a status -d 'Up-time, interfaces, memory'
complete -c mintflow -n __fish_use_subcommand -a show -d 'Print a table'
complete -c mintflow -n __fish_use_subcommand -a why -d 'Which way a packet goes, and who says so'
complete -c mintflow -n __fish_use_subcommand -a close -d 'End sessions of the host stack'
complete -c mintflow -n __fish_use_subcommand -a flush -d 'Forget what the DNS server keeps'
complete -c mintflow -n __fish_use_subcommand -a test -d 'Fetch a page through an interface'
complete -c mintflow -n __fish_use_subcommand -a capture -d 'Write packets as pcapng'
complete -c mintflow -n __fish_use_subcommand -a reload -d 'Load the profile again'
complete -c mintflow -n __fish_use_subcommand -a stop -d 'Stop and wait for the end'
complete -c mintflow -n __fish_use_subcommand -a import -d 'Print a wg-quick configuration, or links, as a profile'
complete -c mintflow -n __fish_use_subcommand -a genkey -d 'Print a new private key'
complete -c mintflow -n __fish_use_subcommand -a pubkey -d 'Read a private key, print its public key'
complete -c mintflow -n __fish_use_subcommand -a genpsk -d 'Print a new preshared key'

complete -c mintflow -n 'not __fish_use_subcommand' -l help -d 'Print the options'
complete -c mintflow -n '__mintflow_in run check' -s c -l config -r -F -d 'The profile'
complete -c mintflow -n '__mintflow_in run' -l log-level -x -a 'error warn info debug' -d 'What is logged'
complete -c mintflow -n '__mintflow_in run' -l log-json -d 'Log JSON objects'
complete -c mintflow -n '__mintflow_in run' -l workers -x -d 'Number of threads'
complete -c mintflow -n '__mintflow_in check' -l print -d 'Print the profile with every default'
complete -c mintflow -n '__mintflow_in check status show why close flush test reload stop import' -l json -d 'Print JSON'
complete -c mintflow -n '__mintflow_in status show' -s w -l watch -d 'Repeat'
complete -c mintflow -n '__mintflow_in status show why close flush test reload stop' -s n -l name -x -a '(__mintflow_tunnels)' -d 'The tunnel'
complete -c mintflow -n '__mintflow_in show' -s a -l all -d 'Also what is zero'
complete -c mintflow -n '__mintflow_in show' -a 'interfaces peers routes sessions dns dns-cache nodes drops log'
complete -c mintflow -n '__mintflow_in reload' -l drop-sessions -d 'End those whose route leads elsewhere now'
complete -c mintflow -n __mintflow_chooses -a 'tcp udp icmp via app to state name kept'
complete -c mintflow -n '__mintflow_in close; and __mintflow_chooses' -a 'all (__mintflow_names sessions id)'
complete -c mintflow -n '__mintflow_before via' -a '(__mintflow_names interfaces name)'
complete -c mintflow -n '__mintflow_in flush' -a dns-cache
complete -c mintflow -n '__mintflow_in test' -a '(__mintflow_names interfaces name)'
complete -c mintflow -n '__mintflow_before name dns-cache' -a '(__mintflow_names dns-cache name)'
complete -c mintflow -n '__mintflow_before state' -a 'opening accepting established unreplied app-closed far-closed closing time-wait'
complete -c mintflow -n '__mintflow_in capture' -s i -l interface -x -a '(__mintflow_names interfaces name)' -d 'Only of this interface'
complete -c mintflow -n '__mintflow_in capture' -s n -l node -x -a '(__mintflow_names nodes node)' -d 'Before this node'
complete -c mintflow -n '__mintflow_in capture' -s w -l write -r -F -d 'To this file'
complete -c mintflow -n '__mintflow_in capture' -s c -l count -x -d 'End after so many'
complete -c mintflow -n '__mintflow_in capture' -s s -l snaplen -x -d 'Bytes of each packet'
complete -c mintflow -n '__mintflow_in capture' -l name -x -a '(__mintflow_tunnels)' -d 'The tunnel'
complete -c mintflow -n '__mintflow_in import' -a 'wireguard link subscription'
complete -c mintflow -n '__mintflow_in import' -F
