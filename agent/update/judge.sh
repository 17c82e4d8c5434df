#!/bin/sh
# Installs another version of the agent and judges it from outside: the new one counts, shapes and reaches the broker
# within 10 minutes and says so, or the old one is put back. Run as root by modem-agent-update (systemd or procd), outside
# the agent's own service. Each step is a file on the flash, so that a power cut at any instant leads on from there; the
# verdict is written once. Nothing here touches the shaping: the kernel keeps it.
# shellcheck shell=dash
set -u
umask 077

setting() {  # KEY DEFAULT: a path of [device] in the configuration
	value=$(sed -n "s/^$1 *= *\"\(.*\)\".*/\1/p" /etc/modem-agent/config.toml 2>/dev/null | head -n 1)
	printf '%s' "${value:-$2}"
}

if [ -e /etc/openwrt_release ]; then DEFAULT=/etc/modem-agent/state; else DEFAULT=/var/lib/modem-agent; fi
STATE=$(setting state_dir "$DEFAULT")
RUN=$(setting run_dir /run/modem-agent)
PROGRAM=/usr/lib/modem-agent
ASKED=$STATE/update KEEP=$STATE-update
KEYRING=/etc/modem-agent/update.gpg  # who may sign the feed, for apt
JUDGE_S=600  # from the start of the judgement, or of a boot within it
SETTLED_S=120  # the new agent runs so long: one that is killed for its memory, or crashes late, does not
: "${LOOK_S:=5}" "${UPTIME:=/proc/uptime}"  # others in tests, which let no time pass
FRESH_S=60  # the agent says that it is well every 10 s
MOST_TRIES=3  # of one step, each ended by a power cut
MOST_BYTES=50000000

now_s() { cut -d . -f 1 "$UPTIME"; }

put() {  # FILE: standard input, on the flash, whole or not at all
	cat >"$1.new" && chmod "${2:-600}" "$1.new" && sync && mv "$1.new" "$1" && sync
}

of() {  # FILE NAME: a value of `name=value` lines
	sed -n "s/^$2=//p" "$1" 2>/dev/null | head -n 1
}

wanted() { of "$KEEP/request" "$1"; }

step() { printf '%s\n' "$*" | put "$KEEP/step" 644; }

conclude() {  # RESULT REASON: the one final answer
	printf 'id=%s\nresult=%s\nversion=%s\nprevious=%s\nreason=%s\n' \
		"$(wanted id)" "$1" "$(wanted version)" "$(wanted previous)" "$2" | put "$KEEP/verdict" 644
}

concluded() { [ -f "$KEEP/request" ] && [ "$(of "$KEEP/verdict" id)" = "$(wanted id)" ]; }

matches() {  # TEXT PATTERN: all of it, and one line
	[ "$(printf '%s' "$1" | wc -l)" -eq 0 ] && printf '%s\n' "$1" | grep -qxE "$2"
}

service() {  # start, stop or restart the agent
	if [ -d /run/systemd/system ]; then systemctl "$1" modem-agent.service
	elif [ -x /etc/init.d/modem-agent ]; then /etc/init.d/modem-agent "$1"; fi
}

# -- the package managers ----------------------------------------------------------------------------------------------

manager() {
	if [ -d /lib/apk/db ]; then echo apk; elif [ -d /usr/lib/opkg ]; then echo opkg; else echo dpkg; fi
}

# apt believes a package whose sum stands in an index that one of KEYRING has signed. All of it is on the disk already:
# nothing is fetched here.
apt() {
	printf 'deb [signed-by=%s] file:%s ./\n' "$KEYRING" "$KEEP/feed" >"$KEEP/feed.list"
	mkdir -p "$KEEP/lists/partial"
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dir::Etc::sourcelist="$KEEP/feed.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::lists="$KEEP/lists" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
		-o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold \
		--no-remove --allow-downgrades "$@" </dev/null
}

dpkg_mend() { DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confold </dev/null; }  # what a power cut ended
dpkg_believes() { dpkg_mend; apt update && apt --download-only install "modem-agent=$(wanted version)"; }
dpkg_install() { dpkg_mend; apt install "modem-agent=$(wanted version)"; }

dpkg_keep() (  # what is installed, as a package again: the file that it came in may be gone for years
	side=$KEEP/root
	umask 022
	rm -rf "$side" && mkdir -p "$side/DEBIAN" || exit
	dpkg-query -L modem-agent | while read -r file; do [ ! -f "$file" ] || printf '%s\n' "${file#/}"; done >"$KEEP/files"
	tar -C / -cf "$KEEP/files.tar" -T "$KEEP/files" && tar -C "$side" -xpf "$KEEP/files.tar" || exit
	rm -f "$KEEP/files.tar"
	for file in /var/lib/dpkg/info/modem-agent.*; do
		case ${file##*.} in preinst | postinst | prerm | postrm | conffiles | md5sums) cp -a "$file" "$side/DEBIAN/${file##*.}" ;; esac
	done
	dpkg-query -s modem-agent | sed -e '/^Status:/d' -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d;}' >"$side/DEBIAN/control"
	chmod 644 "$side/DEBIAN/control"
	dpkg-deb --root-owner-group -Zgzip --build "$side" "$KEEP/old.new" >/dev/null && sync && mv "$KEEP/old.new" "$KEEP/old"
	kept=$?
	rm -rf "$side"
	exit "$kept"
)

dpkg_put_back() {
	dpkg_mend
	DEBIAN_FRONTEND=noninteractive dpkg --force-confold --force-downgrade -i "$KEEP/old" </dev/null
}

opkg_believes() { usign -V -q -m "$KEEP/feed/$(wanted file)" -P /etc/opkg/keys -x "$KEEP/feed/$(wanted file).sig"; }
opkg_install() { opkg install --force-downgrade --force-reinstall "$KEEP/feed/$(wanted file)"; }
opkg_files() { opkg files modem-agent | grep '^/'; ls /usr/lib/opkg/info/modem-agent.* /usr/lib/opkg/status; }

apk_believes() { apk verify "$KEEP/feed/$(wanted file)"; }
apk_install() { apk add --no-network "$KEEP/feed/$(wanted file)"; }
apk_files() {
	apk info -qL modem-agent | sed 's|^/*|/|' | grep '^/.'
	ls /lib/apk/db/installed /lib/apk/db/scripts.tar* /lib/apk/db/triggers /etc/apk/world 2>/dev/null
}

# Neither can make a package of what is installed: its files are kept, and put back over the new ones. So is the manager's
# list, which would name the new version: apk does nothing where the very package that it names is to be installed.
files_keep() {
	"$(manager)_files" | sed 's|^/||' >"$KEEP/files" && [ -s "$KEEP/files" ] &&
		tar -C / -czf "$KEEP/old.new" -T "$KEEP/files" && sync && mv "$KEEP/old.new" "$KEEP/old"
}
files_put_back() { tar -C / -xzf "$KEEP/old" && sync && service restart; }

opkg_keep() { files_keep; }
opkg_put_back() { files_put_back; }
apk_keep() { files_keep; }
apk_put_back() { files_put_back; }

# -- after a power cut -------------------------------------------------------------------------------------------------

# This script goes on after a boot, whatever the new package has made of its own copy and of its unit.
stay() {
	[ "$0" = "$KEEP/judge" ] || cp "$0" "$KEEP/judge" || return
	if [ "$(manager)" = dpkg ]; then
		unit=/etc/systemd/system/modem-agent-judge.service
		mkdir -p "${unit%/*}/multi-user.target.wants" || return
		printf '[Unit]\nDescription=Judges a new modem agent\n[Service]\nExecStart=/bin/sh %s\nRestart=on-failure\nRestartSec=30\n' \
			"$KEEP/judge" | put "$unit" 644 && ln -sf "$unit" "${unit%/*}/multi-user.target.wants/"
	else
		[ -x /etc/init.d/modem-agent-judge ]  # made by modem-agent-update, which runs this copy
	fi
}

leave() {
	if [ "$(manager)" = dpkg ]; then
		rm -f /etc/systemd/system/modem-agent-judge.service \
			/etc/systemd/system/multi-user.target.wants/modem-agent-judge.service
	else
		[ ! -x /etc/init.d/modem-agent-judge ] || /etc/init.d/modem-agent-judge disable
		rm -f /etc/init.d/modem-agent-judge
	fi
}

# -- the steps ---------------------------------------------------------------------------------------------------------

take() {  # what the agent asks for, copied where the agent cannot change it, and judged there
	rm -rf "$KEEP/feed" && mkdir -p "$KEEP/feed" && cp "$ASKED/request" "$KEEP/request" || return 1
	if concluded; then return 0; fi
	file=$(wanted file)
	refusal=
	if ! matches "$(wanted id)" '[A-Za-z0-9._:-]{1,64}' || ! matches "$(wanted version)" '[0-9][A-Za-z0-9.+~-]{0,63}' ||
		! matches "$file" '[A-Za-z0-9][A-Za-z0-9._+~-]{0,127}'; then
		refusal="the request is not understood"
	elif [ ! -w "$PROGRAM" ]; then refusal="the system is read-only"
	elif ! copied; then refusal="the package cannot be copied: no room, or it is not there"
	elif [ "$(sha256sum "$KEEP/feed/$file" | cut -d ' ' -f 1)" != "$(wanted sha256)" ]; then
		refusal="the package has another sum"
	elif ! "$(manager)_believes" >"$KEEP/log" 2>&1; then
		refusal="$(manager) does not accept it: $(said)"
	elif ! "$(manager)_keep" >"$KEEP/log" 2>&1; then refusal="the present version cannot be kept: $(said)"
	elif ! stay; then refusal="nothing would judge it after a power cut"
	fi
	if [ -n "$refusal" ]; then conclude refused "$refusal"; else step installing 1; fi
}

copied() {
	[ "$(du -ck "$ASKED"/* | tail -n 1 | cut -f 1)" -le $((MOST_BYTES / 1000)) ] || return
	for name in "$ASKED"/*; do
		[ ! -f "$name" ] || [ -h "$name" ] || cp "$name" "$KEEP/feed/" || return
	done
	if [ -f "$KEEP/feed/agent.db" ]; then mv "$KEEP/feed/agent.db" "$KEEP/agent.db" || return; fi
	[ -f "$KEEP/feed/$file" ]
}

said() {  # the last thing that a package manager complained of
	{ grep -E '^(E|dpkg|ERROR|Collected errors|\*|opkg|usign|apk)' "$KEEP/log" || cat "$KEEP/log"; } | tail -n 1 |
		tr -cd '[:print:]' | cut -c 1-200
}

install_new() {
	rm -f "$RUN/well"
	if "$(manager)_install" >"$KEEP/log" 2>&1 9>&-; then step judging 1; else give_up "it was not installed: $(said)"; fi
}

give_up() {  # REASON
	printf '%s\n' "$1" | put "$KEEP/reason"
	step restoring 1
}

judge() {
	end=$(($(now_s) + JUDGE_S))
	while :; do
		looked_s=$(now_s)  # before it looks: the last look begins after the end
		if is_well; then
			conclude installed ""
			return
		fi
		if [ "$looked_s" -ge "$end" ]; then
			give_up "within $JUDGE_S s: ${fault:-it did not say that it is well}"
			return
		fi
		sleep "$LOOK_S"
	done
}

# What the new agent says of itself, held against what the old one said when it asked, and against the kernel. Read once:
# an agent that ends takes the file away at any instant.
is_well() {
	said=$(cat "$RUN/well" 2>/dev/null) fault="it does not run, or does not reach the broker"
	at_s=$(told at_s) up_s=$(told up_s) charged_bytes=$(told charged_bytes)
	[ "$(told version)" = "$(wanted version)" ] && number "$at_s" && number "$up_s" && number "$charged_bytes" || return
	fault=$(told fault)
	[ -z "$fault" ] || return
	if [ "$(told plan)" = "$(wanted plan)" ]; then  # the same period and limit
		fault="it counts less than the old one did"
		[ "$charged_bytes" -ge "$(wanted charged_bytes)" ] || return
		fault="it gives the line free"
		[ "$(wanted slow)" != yes ] || [ "$(told slow)" = yes ] || return
	fi
	fault="nothing in it could replace it in turn"
	[ -s "$PROGRAM/agent/update/judge.sh" ] || return
	fault="it says that it shapes, and the kernel does not"
	[ "$(told slow)" != yes ] || in_kernel || return
	fault="it does not run for long"
	[ $(($(now_s) - at_s)) -lt "$FRESH_S" ] && [ "$up_s" -ge "$SETTLED_S" ]
}

told() { printf '%s\n' "$said" | sed -n "s/^$1=//p" | head -n 1; }

number() { matches "$1" '0|[1-9][0-9]{0,17}'; }  # a leading zero would be octal

in_kernel() {  # where tc is there to ask; the qdiscs that the agent makes (agent/traffic/tree.py)
	! command -v tc >/dev/null || tc qdisc show | grep -qE '^qdisc (cake|tbf|htb) '
}

restore() {  # until it has worked, boot after boot: nothing else is as important
	until "$(manager)_put_back" >"$KEEP/log" 2>&1 9>&-; do
		logger -t modem-agent-update "the old version could not be put back: $(said)"
		sleep "$LOOK_S"
	done
	service stop
	( cd "$PROGRAM" && python3 -m agent.update.database_copy "$STATE/agent.db" "$KEEP/agent.db" ) >"$KEEP/log" 2>&1
	service start 9>&-
	conclude restored "$(cat "$KEEP/reason" 2>/dev/null)"
}

finish() {
	if [ "$(of "$ASKED/request" id)" = "$(wanted id)" ]; then rm -rf "$ASKED"; fi
	rm -rf "$KEEP/feed" "$KEEP/lists" "$KEEP/root"
	leave
	rm -f "$KEEP/judge" "$KEEP/old" "$KEEP/old.new" "$KEEP/agent.db" "$KEEP/reason" "$KEEP/feed.list" "$KEEP/files" \
		"$KEEP/files.tar"
	rm -f "$KEEP/step"
	sync
	rm -f "$KEEP/request"  # last: with it the verdict is known to be this one's
}

again() {  # NUMBER: this step is begun anew; too often means that it takes the power away
	if [ "$1" -ge "$MOST_TRIES" ] && [ "$2" != restoring ]; then give_up "power was lost $1 times while it was $2"
	else step "$2" $(($1 + 1)); fi
}

mkdir -p "$KEEP" && chmod 755 "$KEEP" || exit 1
exec 9>"$KEEP/lock"
flock 9  # one after the other: what is left for the second is nothing
if [ -f "$KEEP/step" ]; then
	read -r name tries <"$KEEP/step"
	number "$tries" && again "$tries" "$name"
fi
while ! concluded; do
	name=
	[ ! -f "$KEEP/step" ] || read -r name tries <"$KEEP/step"
	case $name in
	installing) install_new ;;
	judging) judge ;;
	restoring) restore ;;
	*)
		[ -f "$ASKED/request" ] || exit 0
		take || sleep 30  # a disk that is full
		;;
	esac
done
finish
