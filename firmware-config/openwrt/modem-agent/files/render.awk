# Renders UCI (the text of `uci export modem-agent`, or of /etc/config/modem-agent itself) to the agent's TOML.
# Called by the init script and by the tests, under busybox awk. It checks the form alone: what a value must satisfy is
# the agent's own business (`modem-agent config check`), so that there is one set of rules. An option that is not in
# the table below becomes text, and the agent then says that it does not know it.
#
# UCI's section type is TOML's section: `config plan` is [plan]; each `config step` is one of [[plan.steps]].
# -v networks="wwan0 …": devices of the logical networks that `config wan` names, resolved by the init script.
# -v exported=1: the text is uci's export, whose lines are not the file's; mistakes are then named by section alone.

BEGIN {
	sections = "device modem wan plan shaper operator commands clock household probe log"
	split(sections, order, " ")
	for (i in order) known[order[i]] = 1
	known["step"] = 1
	known["service"] = 1  # the init script's own: enabled
	type("int", "modem.baud plan.allowance_bytes plan.billing_day plan.full_down_bps plan.full_up_bps plan.max_bps")
	type("int", "step.at_percent step.down_bps step.up_bps operator.keepalive_s operator.beat_s")
	type("int", "operator.budget_bytes_day operator.outbox_rows operator.outbox_bytes operator.outbox_days")
	type("int", "commands.rate_per_minute commands.sms_per_day commands.diag_bytes_day")
	type("int", "commands.topups_month commands.topup_bytes_month")
	type("float", "modem.poll_s")
	type("bool", "modem.recovery shaper.replace_foreign shaper.offload_guard plan.charge_management plan.local_topup")
	type("bool", "commands.require_signature household.page")
	type("date", "plan.contract_start plan.contract_end")
	type("texts", "modem.power_cycle plan.sim wan.interfaces commands.at_allow probe.hosts probe.name_servers")
	type("texts", "commands.sms_allow commands.diag_allow commands.two_issuers")
	type("ints", "plan.warn_percent")
	for (i = 1; i < 32; i++) code[sprintf("%c", i)] = sprintf("\\u%04X", i)
	code[sprintf("%c", 127)] = "\\u007F"
	code["\\"] = "\\\\"; code["\""] = "\\\""; code["\n"] = "\\n"; code["\t"] = "\\t"; code["\r"] = "\\r"
	quote = sprintf("%c", 39)
	failed = 0
}

{ text = text $0 "\n" }

END {
	parse()
	if (!failed && count == 0) fail(1, "no section at all: is this the configuration of modem-agent?")
	if (!failed) render()
	exit failed
}

function type(name, keys,    list, i) {
	split(keys, list, " ")
	for (i in list) types[list[i]] = name
}

function fail(where, problem) {
	if (!failed) print "modem-agent: /etc/config/modem-agent: " line_(where) problem > "/dev/stderr"
	failed = 1
}

function line_(where) { return exported ? "" : "line " where ": " }

function of_section() { return " (section '" heading "')" }

# -- UCI: words, quotes and comments; a quoted word may hold newlines ------------------------------------------------

function parse(    at, length_, character, word, inword, words, line, start) {
	length_ = length(text)
	line = start = 1
	for (at = 1; at <= length_ && !failed; at++) {
		character = substr(text, at, 1)
		if (character == "\n" || character == ";") {
			if (inword) { words[++words[0]] = word; word = ""; inword = 0 }
			if (words[0]) statement(words, start)
			words[0] = 0
			if (character == "\n") line++
			start = line
		} else if (character == " " || character == "\t" || character == "\r") {
			if (inword) { words[++words[0]] = word; word = ""; inword = 0 }
		} else if (character == "#" && !inword) {
			while (at < length_ && substr(text, at + 1, 1) != "\n") at++
		} else if (character == quote || character == "\"") {
			inword = 1
			for (at++; at <= length_ && substr(text, at, 1) != character; at++) {
				if (character == "\"" && substr(text, at, 1) == "\\") at++
				if (substr(text, at, 1) == "\n") line++
				word = word substr(text, at, 1)
			}
			if (at > length_) fail(start, "a quote is not closed")
		} else {
			if (character == "\\" && at < length_) character = substr(text, ++at, 1)
			inword = 1
			word = word character
		}
	}
}

function statement(words, line,    kind) {
	kind = words[1]
	if (kind == "package") return
	if (kind == "config") section(words, line)
	else if (kind == "option" || kind == "list") {
		if (words[0] != 3) fail(line, kind " needs a name and one value" (current == "" ? "" : of_section()))
		else if (current == "") fail(line, kind " before any section")
		else option(kind, words[2], words[3], line)
	} else fail(line, "'" kind "' is not UCI; one of config, option, list")
}

function section(words, line) {
	if (words[0] != 2 && words[0] != 3) { fail(line, "config needs a type and at most one name"); return }
	if (!(words[2] in known)) { fail(line, "unknown section '" words[2] "'; one of " sections " step service"); return }
	count++
	current = words[2]
	heading = current (words[0] == 3 ? " " words[3] : "")
	if (current == "step") current = "step." ++steps
	else if (current in seen) fail(line, "a second section '" current "'" (exported ? "" : " (the first is at line " seen[current] ")"))
	seen[current] = line
}

function option(kind, name, value, line,    key, id) {
	if (name !~ /^[A-Za-z0-9_]+$/) { fail(line, "'" name "' is not a name of an option" of_section()); return }
	id = current "." name
	key = id
	sub(/^step\.[0-9]+\./, "step.", key)
	if (id in lists && lists[id] != kind) { fail(line, "'" name "'" of_section() " is both option and list"); return }
	if (kind == "option" && id in lists) { fail(line, "a second option '" name "'" of_section()); return }
	if (kind == "list" && types[key] !~ /s$/ && key != "wan.network") { fail(line, "'" name "' is no list: use option" of_section()); return }
	lists[id] = kind
	if (!(id in number)) { number[id] = 0; names[current] = names[current] " " name }
	# An option where a list is meant is taken as a list of one, as UCI's own users do.
	values[id, ++number[id]] = value
}

# -- TOML ------------------------------------------------------------------------------------------------------------

function render(    i) {
	print "# Made from /etc/config/modem-agent at each start and reload. Change that file, not this one."
	defaults()
	for (i = 1; i in order; i++) if (order[i] in seen) table(order[i], "[" order[i] "]")
	for (i = 1; i <= steps; i++) table("step." i, "[[plan.steps]]", "step")
}

# What is different on OpenWrt: /var is in memory, and there is no zone database.
function defaults(    list, i) {
	preset("device", "state_dir", "/etc/modem-agent/state")
	preset("device", "run_dir", "/var/run/modem-agent")
	preset("plan", "timezone", "CET-1CEST,M3.5.0,M10.5.0/3")
	if (networks != "") {
		split(networks, list, " ")
		if (!("wan" in seen)) seen["wan"] = 0
		if (!(("wan.interfaces") in number)) names["wan"] = names["wan"] " interfaces"
		for (i = 1; i in list; i++) values["wan.interfaces", ++number["wan.interfaces"]] = list[i]
	}
}

function preset(name, key, value) {
	if (!(name in seen)) seen[name] = 0
	if ((name "." key) in number) return
	number[name "." key] = 1
	values[name "." key, 1] = value
	names[name] = names[name] " " key
}

function table(id, heading, kind,    list, i, key) {
	print "\n" heading
	split(names[id], list, " ")
	for (i = 1; i in list; i++) {
		key = (kind == "" ? id : kind) "." list[i]
		if (key != "wan.network") print list[i] " = " value(id "." list[i], types[key])
	}
}

function value(id, kind,    i, joined) {
	if (kind !~ /s$/) return one(values[id, 1], kind)
	for (i = 1; i <= number[id]; i++) joined = joined (i > 1 ? ", " : "") one(values[id, i], kind == "ints" ? "int" : "")
	return "[" joined "]"
}

# A value that is not of its type is handed on as text: the agent names key, value and what is allowed.
function one(value_, kind) {
	if (kind == "int" && value_ ~ /^-?[0-9]+$/) return integer(value_)
	if (kind == "float" && value_ ~ /^-?[0-9]+(\.[0-9]+)?$/) return integer(value_)
	if (kind == "bool" && value_ ~ /^(1|on|true|yes|enabled)$/) return "true"
	if (kind == "bool" && value_ ~ /^(0|off|false|no|disabled)$/) return "false"
	if (kind == "date" && value_ ~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]$/) return value_
	return text_(value_)
}

function integer(digits,    sign) {  # TOML allows no leading zero
	sign = sub(/^-/, "", digits) ? "-" : ""
	sub(/^0+/, "", digits)
	if (digits == "" || digits ~ /^\./) digits = "0" digits
	return sign digits
}

function text_(raw,    i, character, out) {
	for (i = 1; i <= length(raw); i++) {
		character = substr(raw, i, 1)
		out = out (character in code ? code[character] : character)
	}
	return "\"" out "\""
}
