# SPDX-License-Identifier: Apache-2.0
# bash completion for mintflow

_mintflow_tunnels()
{
	local f

	for f in /run/mintflow/*.sock; do
		[[ -e $f ]] && f=${f##*/} && printf '%s\n' "${f%.sock}"
	done
}

# Interfaces, nodes or sessions of the tunnel: asked of the running program.
_mintflow_names()
{
	mintflow show "$1" --all --json 2>/dev/null |
		sed -n "s/^ *\"$2\": \"\\([A-Za-z0-9_=+.-]*\\)\".*/\\1/p" | sort -u
}

# What may follow in the words that choose sessions; $1 is the word before, the rest what may stand alone.
_mintflow_filter()
{
	case $1 in
	via) _mintflow_names interfaces name ;;
	app | to) ;;
	state) echo opening accepting established unreplied app-closed far-closed closing time-wait ;;
	name) _mintflow_names dns-cache name ;;
	*) shift && echo tcp udp icmp via app to state name kept "$@" ;;
	esac
}

_mintflow()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd=${COMP_WORDS[1]} options

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "run check status show why close flush test capture reload stop \
			import genkey pubkey genpsk --help --version" -- "$cur")
		return
	fi
	case $cmd:$prev in
	run:-c | run:--config | check:-c | check:--config | capture:-w | capture:--write)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	run:--log-level)
		mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$cur")
		return
		;;
	capture:-i | capture:--interface)
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_names interfaces name)" -- "$cur")
		return
		;;
	capture:-n | capture:--node)
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_names nodes node)" -- "$cur")
		return
		;;
	*:-n | *:--name)
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_tunnels)" -- "$cur")
		return
		;;
	run:--workers | capture:-c | capture:--count | capture:-s | capture:--snaplen)
		return
		;;
	esac
	case $cmd in
	run) options="-c --config --log-level --log-json --workers" ;;
	check) options="-c --config --print --json" ;;
	status) options="-w --watch -n --name --json" ;;
	show) options="-a --all -w --watch -n --name --json" ;;
	why) options="-n --name --json" ;;
	capture)
		options="-i --interface -n --node -w --write -c --count -s --snaplen --name"
		;;
	reload) options="--drop-sessions -n --name --json" ;;
	close | flush | test | stop) options="-n --name --json" ;;
	import) options="--json" ;;
	*) options="" ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options --help" -- "$cur")
	elif [[ $cmd == show && " ${COMP_WORDS[*]:2:COMP_CWORD-2} " == *" sessions "* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_filter "$prev")" -- "$cur")
	elif [[ $cmd == close ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_filter "$prev" all \
			"$(_mintflow_names sessions id)")" -- "$cur")
	elif [[ ($cmd == show || $cmd == flush) && $prev == dns-cache ]] ||
		[[ $cmd == why && $cur == *[a-z]* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_names dns-cache name)" -- "$cur")
	elif [[ $cmd == test && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_mintflow_names interfaces name)" -- "$cur")
	elif [[ $cmd == flush ]]; then
		mapfile -t COMPREPLY < <(compgen -W "dns-cache" -- "$cur")
	elif [[ $cmd == show ]]; then
		mapfile -t COMPREPLY < <(compgen -W "interfaces peers routes sessions dns dns-cache nodes \
			drops log" -- "$cur")
	elif [[ $cmd == import && $COMP_CWORD -eq 2 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "wireguard link subscription" -- "$cur")
	elif [[ $cmd == import && $prev != link ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -o filenames -F _mintflow mintflow
