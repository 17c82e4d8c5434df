#!/bin/sh
# Certificates for a first fleet: a CA of your own, the broker's certificate, and one for each device.
#   ./certificates.sh FOLDER BROKER IMEI...     BROKER: the name or address that devices connect to
# With FOLDER/issuers.toml (master keys of those who sign commands) each device also gets the keys file derived from it.
# Run it again with more IMEIs at any time: what is there stays as it is. An expired or lost one: remove its folder first.
# FOLDER/ca.key signs every device: keep the folder on a machine that is not the broker, and back it up.
set -eu

DAYS=${DAYS:-3650}  # a device that nobody visits outlives a short certificate; a stolen one is locked out by the ACL

die() {
	echo "certificates.sh: $*" >&2
	exit 1
}

[ $# -ge 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
command -v openssl >/dev/null || die "openssl is not installed"
folder=$1 broker=$2
shift 2
case $broker in *[!A-Za-z0-9.:-]* | "") die "'$broker' is not the name or address of a broker" ;; esac
for imei in "$@"; do
	case $imei in *[!0-9]* | "") die "'$imei' is not an IMEI: 15 digits" ;; esac
	[ ${#imei} = 15 ] || die "'$imei' is not an IMEI: 15 digits, not ${#imei}"
done
[ ! -f "$folder/issuers.toml" ] || command -v modem-support >/dev/null || die "modem-support is not installed: it derives the keys"
umask 077
mkdir -p "$folder"
cd "$folder"

made() {  # key and certificate appear together, whole, or not at all
	chmod 644 "$1.new/$2.pem"
	rm -f "$1.new/request"
	mv "$1.new" "$1"
}

begin() {
	rm -rf "$1.new"
	mkdir "$1.new"
	openssl ecparam -name prime256v1 -genkey -noout -out "$1.new/$2.key"
}

sign() {  # sign FOLDER NAME COMMON_NAME EXTENSIONS
	openssl req -new -key "$1.new/$2.key" -subj "/CN=$3" -out "$1.new/request"
	printf '%s\n' "basicConstraints=critical,CA:FALSE" "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" "$4" |
		openssl x509 -req -in "$1.new/request" -CA ca/ca.pem -CAkey ca/ca.key -days "$DAYS" -extfile /dev/stdin \
			-set_serial "0x$(openssl rand -hex 16)" -out "$1.new/$2.pem" 2>/dev/null
}

if [ ! -d ca ]; then
	begin ca ca
	openssl req -x509 -new -key ca.new/ca.key -days "$DAYS" -subj "/CN=modem-agent device CA" -out ca.new/ca.pem \
		-addext "basicConstraints=critical,CA:TRUE,pathlen:0" -addext "keyUsage=critical,keyCertSign,cRLSign"
	made ca ca
	echo "ca/: the fleet's CA"
fi

case $broker in *[!0-9.]*) case $broker in *:*) kind=IP ;; *) kind=DNS ;; esac ;; *) kind=IP ;; esac
if [ ! -d "broker-$broker" ]; then
	begin "broker-$broker" broker
	sign "broker-$broker" broker "$broker" "subjectAltName=$kind:$broker
extendedKeyUsage=serverAuth"
	cp ca/ca.pem "broker-$broker.new/device-ca.pem"
	made "broker-$broker" broker
	echo "broker-$broker/: to /etc/mosquitto/certs on the broker"
fi

issue() {  # issue IMEI
	begin "device-$1" device
	# The common name becomes the user of the broker's ACL and its client id: the device id. RabbitMQ compares the
	# client id with a subjectAltName.
	sign "device-$1" device "imei::$1" "extendedKeyUsage=clientAuth
subjectAltName=URI:imei::$1"
	cp ca/ca.pem "device-$1.new/ca.pem"
	chmod 640 "device-$1.new/device.key"
	made "device-$1" device
	echo "device-$1/: to /etc/modem-agent on that device"
}

derive() {  # derive IMEI
	modem-support keys derive issuers.toml "imei::$1" >"device-$1/keys.new"
	chmod 640 "device-$1/keys.new"
	mv "device-$1/keys.new" "device-$1/keys.toml"
	echo "device-$1/keys.toml: likewise"
}

for imei in "$@"; do
	[ -d "device-$imei" ] || issue "$imei"
	[ ! -f issuers.toml ] || [ -f "device-$imei/keys.toml" ] || derive "$imei"
done
