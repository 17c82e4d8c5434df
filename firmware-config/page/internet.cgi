#!/bin/sh
# The household's page over HTTP: run by the router's own web server (uhttpd, busybox httpd) for each request. The agent
# keeps the documents in memory (agent/household/publication.py); this adds what only the request knows: the language,
# which device reads, and whether the document is old because no agent keeps it any more. Nothing of the request is
# ever printed. Busybox's sh, sed and tr are enough.
# shellcheck shell=dash

: "${PAGE:=/run/modem-agent/page}" "${UPTIME:=/proc/uptime}" "${LUCI:=/www/cgi-bin/luci}"
OLD_S=150  # the agent says each minute that the numbers are true

set -f  # words of the request are no file names

# The start page of a router may have been LuCI's: a technician who comes by address still finds it.
case ${HTTP_HOST%%:*} in
internet.box) ;;
*)
	if [ "${REQUEST_URI%%\?*}" = / ] && [ -z "$QUERY_STRING" ] && [ -e "$LUCI" ]; then
		printf 'Status: 302 Found\r\nLocation: /cgi-bin/luci/\r\n\r\n'
		exit 0
	fi
	;;
esac

# What a link asked for, else the first language of the browser's list that there is, else the household's.
chosen() {
	for word in "${QUERY_STRING#lang=}" $(printf '%s' "$HTTP_ACCEPT_LANGUAGE" | tr ',;' '  ') "$1"; do
		case $word in
		fr* | nl* | de* | en* | ar*) printf '%.2s' "$word"; return ;;
		esac
	done
	printf fr
}

headers() {
	printf 'Status: %s\r\nContent-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n' "$1"
	printf 'X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nVary: Accept-Language\r\n\r\n'
}

read -r alive household 2>/dev/null <"$PAGE/alive"
read -r now _ <"$UPTIME"
language=$(chosen "$household")
document="$PAGE/$language.html"
if [ ! -r "$document" ] || [ -z "$alive" ]; then
	headers '503 Service Unavailable'
	cat <<'TEXT'
<!DOCTYPE html>
<html lang="fr"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>internet.box</title></head><body style="font:1.125rem/1.5 system-ui,sans-serif;margin:1rem">
<h1>internet.box</h1>
<p>Il n’y a pas encore de chiffres. Attendez quelques minutes.</p>
<p lang="nl">Er zijn nog geen cijfers. Wacht enkele minuten.</p>
<p lang="de">Es gibt noch keine Zahlen. Warten Sie ein paar Minuten.</p>
<p lang="en">There are no numbers yet. Wait a few minutes.</p>
<p lang="ar" dir="rtl">لا توجد أرقام بعد. انتظروا بضع دقائق.</p>
</body></html>
TEXT
	exit 0
fi

age_s=$((${now%.*} - alive))
[ "$age_s" -ge 0 ] || age_s=0
drop_old='/^<p class="old/d'
[ "$age_s" -lt "$OLD_S" ] || drop_old=

# The line of the reader's address; that of a stranger to the counting begins with a dash.
reader=${REMOTE_ADDR#[}
reader=${reader%]}
reader=${reader#::ffff:}
own='' others='' unknown=''
if [ -r "$PAGE/devices" ]; then
	while read -r address its rest nobodys; do
		case $address in "$reader" | -) own=$its others=$rest unknown=$nobodys; [ "$address" = - ] || break ;; esac
	done <"$PAGE/devices"
fi
[ "$language" != en ] || { own=$(printf '%s' "$own" | tr , .); others=$(printf '%s' "$others" | tr , .); unknown=$(printf '%s' "$unknown" | tr , .); }
drop_own=
[ -n "$own" ] || drop_own='/^<p class="own/d'
drop_unknown=
case $unknown in '' | 0) drop_unknown='/^<p class="unknown/d' ;; esac

headers '200 OK'
[ "$REQUEST_METHOD" = HEAD ] || sed -e "$drop_old" -e "$drop_own" -e "$drop_unknown" -e "s/@AGE@/$((age_s / 60))/g" \
	-e "s/@OWN@/$own/" -e "s/@OTHERS@/$others/" -e "s/@UNKNOWN@/$unknown/" "$document"
