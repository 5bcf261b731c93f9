#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; the containers' scripts are in single quotes
# Reports beyond their text: what they hold, their forms, baselines, summaries, graphs.

load ../lib/ground
load common

LIB=$BATS_TEST_DIRNAME/../lib
DOCS=$BATS_TEST_DIRNAME/../../docs

setup_file() {
	# names of containers: each of these has the address that its test gives it
	export DF_ZONE=$DF_HOST/zone.report
	printf '%s\n' 'artifacts.internal A 10.88.0.50' 'mirror.internal A 10.88.0.51' >"$DF_ZONE"
	world_up && image_import && image_build || return
	product_install
}

cli() { # ARGUMENT…: sets status, output and stderr
	status=0
	output=$(deployfence "$@" 2>"$DF_HOST/cli.err") || status=$?
	stderr=$(cat "$DF_HOST/cli.err")
}

cli_json() { # JQ-CONDITION ARGUMENT…: the output is JSON of the schema, and so
	local condition=$1
	shift
	cli "$@"
	/usr/bin/python3 "$LIB/validate_json.py" "$DOCS/report.schema.json" - <<<"$output" || expect false
	expect jq -e "$condition" <<<"$output"
}

# The standard's own schema, too, where somebody has it.
sarif_valid() {
	/usr/bin/python3 "$LIB/validate_json.py" "$LIB/sarif.schema.json" - <<<"$output" || expect false
	[ -z "${DF_SARIF_SCHEMA:-}" ] || /usr/bin/python3 "$LIB/validate_json.py" "$DF_SARIF_SCHEMA" - <<<"$output" || expect false
}

# A deploy script, a tool of its that calls home, and a script that it calls.
deploy() { # NAME…
	mkdir -p "$DF_HOST/deploy"
	cat >"$DF_HOST/deploy/deploy.sh" <<-'SH'
		for name in "$@"; do curl -sS -m 10 "http://$name"; done
		python3 ./tool.py
		bash -e ./build.sh
	SH
	printf 'import socket\ntry: socket.gethostbyname("home.v4only.example")\nexcept OSError: pass\n' >"$DF_HOST/deploy/tool.py"
	echo 'getent hosts dual.example' >"$DF_HOST/deploy/build.sh"
	job -a deployfence=on -a deployfence.owner=team-deploy -a deployfence.x-commit=1c5f0e2 -v "$DF_HOST/deploy:/deploy:ro" \
		-o --workdir=/deploy -- sh ./deploy.sh "$@"
	expect_fence_gone
}

@test "addresses and hostname: they stand in the start, or follow when the network is up" {
	local address addresses
	job -o --hostname=deploy-web -a deployfence=on -- ip -o address show dev eth0
	expect_fence_gone
	mapfile -t addresses < <(grep -oE '(10\.88\.[0-9.]+|fd00:88::[0-9a-f]+)/' <<<"$output")
	expect [ "${#addresses[@]}" = 2 ]
	for address in "${addresses[@]}"; do
		expect_event ".event == \"start\" and any(.addresses[]; . == \"${address%/}\")"
	done
	expect has_event '.event == "start" and (.addresses | length) == 2 and .container.hostname == "deploy-web"'
	refute has_event '.event == "addresses"'
	rm -rf "$RUNDIR" "$REPORTS"
	# no network, no address: loopback says nothing
	job -n none -a deployfence=on -- true
	expect_fence_gone
	expect has_event '.event == "start" and (has("addresses") | not) and (.container | .id[:12] == .hostname)'
	rm -rf "$RUNDIR" "$REPORTS"
	# the host's own name is no container's
	job -n host -a deployfence=on -- true
	expect_fence_gone
	expect has_event '.event == "start" and (.addresses | length) > 0 and (.container | has("hostname") | not)'
	rm -rf "$RUNDIR" "$REPORTS"
	# with --uidmap the network comes after the hook
	job_start -o --uidmap=0:100000:5000 -a deployfence=on -- sleep 1000
	expect_event '.event == "addresses" and any(.addresses[]; startswith("10.88."))'
	expect has_event '.event == "start" and (has("addresses") | not)'
	job_stop "$JOB"
	expect_fence_gone
}

@test "direct and hidden dependencies, scripts, parents: of a deploy script and a tool that calls home" {
	deploy github.com api.github.com www.ok.example
	cli_json '.kind == "report" and (.containers[0] | .complete and .ended and .queries == .stop.queries
		and .annotations == {"owner": "team-deploy", "x-commit": "1c5f0e2"} and (.addresses | length) == 2
		and any(.domains[]; .domain == "github.com." and .verdict == "blocked" and .class == "direct" and .at == "dns"
			and .script == "./deploy.sh" and .hint and .owner == "team-deploy"
			and .ancestry == ["sh ./deploy.sh github.com api.github.com www.ok.example"])
		and any(.domains[]; .domain == "www.ok.example." and .verdict == "allowed" and .class == "direct"
			and any(.answers[]; . == "203.0.113.10") and .aliases == ["ok.example."] and (has("hint") | not))
		and any(.domains[]; .domain == "home.v4only.example." and .class == "hidden" and .cmd == "python3 ./tool.py")
		and any(.domains[]; .domain == "dual.example." and .script == "./build.sh" and .class == "direct"))
		and any(.rules[]; .owner == "team-deploy" and .names == 2)' report --json
	expect jq -e '.containers[0].groups | any(.[]; .parent == "github.com." and .names == 2 and .refused == .count)
		and any(.[]; .parent == "ok.example." and .names == 1 and .refused == 0)' <<<"$output"
	cli report
	expect_match "$output" $'\nPARENT +NAMES +COUNT +REFUSED\ngithub\\.com +2 '
	expect_match "$output" $'\nblocked +[0-9]+  api\\.github\\.com +direct  curl -sS -m 10 http://api\\.github\\.com  \\./deploy\\.sh  default\\.policy:'
	expect_match "$output" $'\nallowed +[0-9]+  home\\.v4only\\.example +hidden  python3 \\./tool\\.py +\\./deploy\\.sh  - '
}

# A tool that asks in a background thread, as one that calls home does.
background_tool() { # FILE
	cat >"$1.c" <<-'C'
		#define _GNU_SOURCE
		#include <netdb.h>
		#include <pthread.h>
		static void *call_home(void *name)
		{
			struct addrinfo *found;
			pthread_setname_np(pthread_self(), "telemetry");
			return getaddrinfo(name, "443", 0, &found) ? 0 : name;
		}
		int main(int argc, char **argv)
		{
			pthread_t thread;
			return argc != 2 || pthread_create(&thread, 0, call_home, argv[1]) || pthread_join(thread, 0);
		}
	C
	cc -O1 -pthread -o "$1" "$1.c"
}

@test "a deploy script of bash, make, python, xargs, and compiled tools: each name has its command and ancestry" {
	local bash='bash -e ./deploy.sh ' in
	mkdir -p "$DF_HOST/deploy/lib"
	ldd "$(command -v make)" | grep -o '/[^ :]*\.so[^ :]*' | xargs -I{} cp -L {} "$DF_HOST/deploy/lib/"
	background_tool "$DF_HOST/deploy/tool"
	cat >"$DF_HOST/deploy/deploy.sh" <<-'SH'
		curl -sS -m 10 http://github.com || true
		make -f deploy.mk all
		python3 ./publish.py
		printf '%s\n' a b c d | xargs -P4 -I{} getent hosts {}.github.com || true
		./tool ok.example
		./tool home.github.com || true
		(exec -a ./in-a-hurry python3 -S ./hurry.py)
		sleep 0.3
	SH
	printf 'all:\n\t-getent hosts make.github.com\n\tcurl -sS http://ok.example\n' >"$DF_HOST/deploy/deploy.mk"
	printf 'import subprocess\nsubprocess.run(["getent", "hosts", "python.github.com"])\n' >"$DF_HOST/deploy/publish.py"
	# sends, and does not wait
	cat >"$DF_HOST/deploy/hurry.py" <<-'PY'
		import os, socket
		name = b"".join(bytes([len(x)]) + x for x in (b"hurry", b"github", b"com", b""))
		socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"\x4d\x43\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1", ("10.89.53.1", 53))
		os._exit(0)
	PY
	job -a deployfence=on -v "$DF_HOST/deploy:/deploy:ro" -v "$(readlink -f "$(command -v make)"):/usr/bin/make:ro" \
		-e LD_LIBRARY_PATH=/deploy/lib -o --workdir=/deploy -- bash -e ./deploy.sh
	expect [ "$status" = 0 ]
	expect_fence_gone
	in="(.ancestry | map(.cmd)) == [\"$bash\"]"
	expect_event ".domain == \"github.com.\" and .blocked and .cmd == \"curl -sS -m 10 http://github.com \" and $in"
	expect_event ".domain == \"make.github.com.\" and .blocked and .cmd == \"getent hosts make.github.com \"
		and (.ancestry | map(.cmd)) == [\"make -f deploy.mk all \", \"$bash\"]"
	expect_event ".domain == \"ok.example.\" and (.blocked | not) and .cmd == \"curl -sS http://ok.example \"
		and (.ancestry | map(.cmd)) == [\"make -f deploy.mk all \", \"$bash\"]"
	expect_event ".domain == \"python.github.com.\" and .blocked and .cmd == \"getent hosts python.github.com \"
		and (.ancestry | map(.cmd)) == [\"python3 ./publish.py \", \"$bash\"]"
	for name in a b c d; do
		expect_event ".domain == \"$name.github.com.\" and .blocked and .cmd == \"getent hosts $name.github.com \"
			and (.ancestry | map(.cmd)) == [\"xargs -P4 -I{} getent hosts {}.github.com \", \"$bash\"]"
	done
	expect_event ".domain == \"home.github.com.\" and .blocked and .comm == \"telemetry\" and .tid != .pid
		and .cmd == \"./tool home.github.com \" and $in"
	expect_event ".domain == \"ok.example.\" and (.blocked | not) and .comm == \"telemetry\" and .cmd == \"./tool ok.example \" and $in"
	# read while it was there, or gone and then what the kernel knows: nobody else in any case
	expect_event ".domain == \"hurry.github.com.\" and .blocked and .comm == \"python3\"
		and ((.cmd == \"./in-a-hurry -S ./hurry.py \" and $in) or (.attribution == \"gone\" and .cmd == \"python3\"))"
	expect [ "$(event_lines | jq -s '[.[] | select(.attribution)] | length')" -le 1 ]
	# each name once in the report, with its script
	cli report --json
	expect jq -e '.containers[0].domains | (map(.domain) | unique | length) == 10
		and all(.[]; .script == "./deploy.sh" or .script == "deploy.mk" or .script == "./publish.py" or .script == "./hurry.py"
			or (.script == null and .domain == "hurry.github.com."))' <<<"$output"
	rm -r "$DF_HOST/deploy"
}

@test "the report of an audited run has the names that a capture on lo shows, and no other" {
	local pid
	job_start -a deployfence=audit -- sleep 1000
	nsenter -t "$(job_pid "$JOB")" -n /usr/bin/python3 "$BATS_TEST_DIRNAME/listen_lo.py" "$DF_HOST/lo.ready" "$DF_HOST/lo.names" \
		3>&- 4>&- &
	eventually [ -s "$DF_HOST/lo.ready" ]
	pid=$(<"$DF_HOST/lo.ready")
	job_exec "$JOB" sh -c 'for name in github.com api.github.com ok.example nowhere.example www.ok.example A.B.other.example; do
		curl -s -m 10 "http://$name"; getent hosts "$name"; done
		dig +tcp +short mail.ok.example MX; dig +short _https._tcp.ok.example SRV; seq 1 50 | xargs -P 8 -I{} getent hosts n{}.ok.example'
	eventually eval '[ "$(wc -l <"$DF_HOST/lo.names")" = 58 ]'
	job_stop "$JOB"
	expect_fence_gone
	kill "$pid"
	wait || true
	cli report --json
	expect [ "$(jq -r '.containers[0].domains[].domain' <<<"$output" | sort -u)" = "$(sort -u "$DF_HOST/lo.names")" ]
	rm -f "$DF_HOST"/lo.*
}

@test "forms: SARIF, DOT and HTML say the same, and obey nothing of a container" {
	local evil="'><script>alert(1)</script>{0}[x](y)\\"
	job -a deployfence=on -a deployfence.owner="$evil" -- sh -c 'curl -s http://github.com; getent hosts "\"$0" ok.example' "$evil"
	expect_fence_gone
	expect has_event '.event == "dns_blocked"'
	cli report --format sarif
	sarif_valid
	expect jq -e --arg evil "$evil" '.runs[0] | .tool.driver.rules[0].id == "blocked-name"
		and any(.results[]; .ruleId == "blocked-name" and .level == "error" and .properties.domain == "github.com."
			and .properties.owner == $evil and (.message.text | contains("github.com blocked"))
			and .locations[0].physicalLocation == {"artifactLocation": {"uri": "default.policy"}, "region": .locations[0].physicalLocation.region}
			and .locations[0].physicalLocation.region.startLine > 1)' <<<"$output"
	cli report --format dot
	dot -Tsvg <<<"$output" >"$DF_HOST/report.svg" || expect false
	expect_match "$(<"$DF_HOST/report.svg")" '>github\.com\.?</text>'
	cli report --format html
	expect_match "$output" '^<!DOCTYPE html>'
	expect_match "$output" 'curl -s http://github\.com'
	refute_match "$output" '<script|src=|url\(|@import|href="(http|//)'
	/usr/bin/python3 "$LIB/validate_html.py" - <<<"$output" || expect false
	# each into a file, which is there as a whole or not at all
	cli report --format html -o "$DF_HOST/report.html"
	expect [ "$status$output$stderr" = 0 ]
	expect [ "$(stat -c %a "$DF_HOST/report.html")" = 644 ]
	cli report -o "$DF_HOST/nowhere/report"
	expect [ "$status" = 73 ]
	expect_match "$stderr" 'nowhere/report'
	cli report -o "$DF_HOST/jobs"
	expect [ "$status" = 74 ]
	expect [ "$(find "$DF_HOST" -maxdepth 1 -name 'jobs.*' | wc -l)" = 0 ]
	rm "$DF_HOST"/report.*
}

browser() { # ARGUMENT…
	timeout 60 chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --allow-file-access-from-files \
		--user-data-dir="$DF_HOST/html/profile" "$@" 2>/dev/null 3>&- 4>&-
}

png_size() { # FILE
	/usr/bin/python3 -c 'import struct, sys
head = open(sys.argv[1], "rb").read(24)
assert head[:8] == b"\x89PNG\r\n\x1a\n"
print("%dx%d" % struct.unpack(">II", head[16:24]))' "$1"
}

# With DF_SCREENSHOTS=DIRECTORY the pictures stay, for somebody to look at.
@test "HTML in a browser: on a desk and on a phone no error, no script, nothing beyond the edge" {
	local dom size
	command -v chromium >/dev/null || skip "chromium is not installed"
	deploy github.com "$(printf 'x%.0s' {1..60}).$(printf 'y%.0s' {1..60}).example"
	mkdir -p "$DF_HOST/html"
	cli report --format html -o "$DF_HOST/html/report.html"
	# all of it is to be seen
	sed -i 's/<details>/<details open>/' "$DF_HOST/html/report.html"
	for size in 1280,1600 390,3200; do
		# the page in a frame as wide as the screen, asked how wide it would like to be
		cat >"$DF_HOST/html/frame.html" <<-HTML
			<iframe id="f" src="report.html" width="${size%,*}" height="800" style="border:0"></iframe><pre id="o"></pre>
			<script>onload = () => { const d = f.contentDocument, w = d.documentElement.clientWidth; o.textContent =
				\`width=\${w} over=\${d.documentElement.scrollWidth - w} beyond=\${[...d.body.querySelectorAll("*")].filter(e =>
					e.getBoundingClientRect().right > w || e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX == "auto").length} \`
				+ \`small=\${[...d.body.querySelectorAll("*")].filter(e => parseFloat(getComputedStyle(e).fontSize) < 12).length} \`
				+ \`scripts=\${d.scripts.length} svgs=\${d.querySelectorAll("svg").length} title=\${d.title} \`
				+ \`elsewhere=\${d.querySelectorAll("[src],[href]:not([href^='data:']):not([href^='#'])").length}\` }</script>
		HTML
		dom=$(browser --dump-dom --window-size=1400,1000 "file://$DF_HOST/html/frame.html")
		expect_match "$dom" "width=${size%,*} over=0 beyond=0 small=0 scripts=0 svgs=[1-9][0-9]* title=deployfence report elsewhere=0"
		browser --window-size="$size" --screenshot="$DF_HOST/html/${size%,*}.png" "file://$DF_HOST/html/report.html"
		expect [ "$(png_size "$DF_HOST/html/${size%,*}.png")" = "${size/,/x}" ]
		[ -z "${DF_SCREENSHOTS:-}" ] || cp "$DF_HOST/html/${size%,*}.png" "$DF_SCREENSHOTS/"
	done
	rm -rf "$DF_HOST/html"
}

@test "baseline: what is new, and exit 1; the same again is not" {
	deploy ok.example
	cli report --json -o "$DF_HOST/base.json"
	cli report --baseline "$DF_HOST/base.json"
	expect [ "$status" = 0 ]
	expect_match "$output" "0 new, 0 gone since $DF_HOST/base\.json"
	rm -rf "$RUNDIR" "$REPORTS"
	deploy other.example github.com
	cli report --baseline "$DF_HOST/base.json"
	expect [ "$status" = 1 ]
	expect [ "$stderr" = "" ]
	expect_match "$output" $'\n2 new, 1 gone since '
	expect_match "$output" $'\nNEW +VERDICT +CLASS +COMMAND +SCRIPT\ngithub\\.com +blocked +direct  curl '
	expect_match "$output" $'\nother\\.example +allowed +direct  curl '
	expect_match "$output" $'\nGONE +[^\n]+\nok\\.example +allowed '
	cli_json '.baseline | ([.new[].domain] == ["github.com.", "other.example."]) and ([.gone[].domain] == ["ok.example."])' \
		report --baseline "$DF_HOST/base.json" --json
	expect [ "$status" = 1 ]
	expect jq -e '[.containers[0].domains[] | select(.new) | .domain] | unique == ["github.com.", "other.example."]' <<<"$output"
	cli report --baseline "$DF_HOST/base.json" --format sarif
	expect [ "$status" = 1 ]
	sarif_valid
	expect jq -e '[.runs[0].results[] | select(.baselineState == "new") | .ruleId] | unique == ["blocked-name", "new-dependency"]' <<<"$output"
	# events are a baseline as well; what cannot be read is none
	cat "$RUNDIR"/*/events.jsonl >"$DF_HOST/base.jsonl"
	cli report --baseline "$DF_HOST/base.jsonl"
	expect [ "$status" = 0 ]
	cli report --baseline "$DF_HOST/nothing.json"
	expect [ "$status$output" = 66 ]
	head -c 300 "$DF_HOST/base.json" >"$DF_HOST/cut.json"
	cli report --baseline "$DF_HOST/cut.json"
	expect [ "$status$output" = 65 ]
	expect_match "$stderr" 'cut\.json: .* at line'
	rm "$DF_HOST"/base.* "$DF_HOST/cut.json"
}

@test "summary: scripts and names by class, block rate, over all containers and since when" {
	deploy github.com
	deploy ok.example
	cli report --summary --since 1h
	expect [ "$status" = 0 ]
	expect_match "$output" '^2 containers since 20'
	expect_match "$output" $'\nCLASS +DEPENDENCIES +COUNT +REFUSED +WOULD-REFUSE +RATE\ndirect +3 '
	expect_match "$output" $'\nhidden  \\./deploy\\.sh  home\\.v4only\\.example +[0-9]+ +0 +2  20'
	expect_match "$output" $'\ndirect  \\./deploy\\.sh  github\\.com +([0-9]+) +[0-9]+ +1  20'
	cli_json '.kind == "summary" and .containers == 2 and .direct.dependencies == 3 and .hidden.dependencies == 1
		and .all.refused > 0 and .all.against_per_mille > 0 and .all.against_per_mille < 1000
		and any(.dependencies[]; .script == "./build.sh" and .domain == "dual.example." and .containers == 2)' report --summary --json --since 30d
	# a report that was kept counts once with what is still there, and alone when that is gone
	deployfence report --json -o "$DF_HOST/kept.json"
	local all=$output
	cli report --summary --json --all "$DF_HOST/kept.json"
	expect [ "$(jq 'del(.since)' <<<"$output")" = "$(jq 'del(.since)' <<<"$all")" ]
	rm -rf "$RUNDIR" "$REPORTS"
	cli report --summary --json "$DF_HOST/kept.json"
	expect [ "$(jq 'del(.since)' <<<"$output")" = "$(jq 'del(.since)' <<<"$all")" ]
	cli report --summary --json "$DF_HOST/kept.json" --since 2099-01-01
	expect jq -e '.containers == 0 and .dependencies == []' <<<"$output"
	rm "$DF_HOST/kept.json"
}

job_of() { # ID
	podman inspect -f '{{.Name}}' "$1"
}

# A server that fetches URL for whoever asks it: serve ADDRESS URL [OPTION]…
serve() {
	cat >"$DF_HOST/serve.py" <<-'PY'
		import http.server, sys, urllib.request
		class Handler(http.server.BaseHTTPRequestHandler):
		    def do_GET(self):
		        try: body = urllib.request.urlopen(sys.argv[1], timeout=10).read()
		        except OSError as e: body = f"upstream failed: {e}".encode()
		        self.send_response(200)
		        self.end_headers()
		        self.wfile.write(body)
		http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
	PY
	local address=$1 url=$2
	shift 2
	job_start -a deployfence=on -o "--ip=$address" -v "$DF_HOST/serve.py:/serve.py:ro" "$@" -- python3 /serve.py "$url"
	eventually eval "(: <>/dev/tcp/$address/8000)" 2>/dev/null
}

@test "graph: a deploy job, an internal service, its upstream, and the name that the last of them is refused" {
	local mirror id
	serve 10.88.0.51 http://github.com/
	pin_bridge # there is one now, and the first packets of the next container would go to its former address
	mirror=$(basename "$RUNDIR"/[!@]*)
	serve 10.88.0.50 http://mirror.internal:8000/ -a deployfence.x-names=artifacts.internal -a deployfence.x-service=artifacts
	job -o --hostname=deploy-web -a deployfence=on -- curl -sS -m 20 http://artifacts.internal:8000/web.tgz
	expect_match "$output" 'upstream failed'
	eventually eval 'is_fence_gone || [ "$(fence_processes | wc -l)" = 6 ]'
	expect_event '.event == "stop"'

	cli report --graph
	expect [ "$status" = 0 ]
	expect_match "$output" '^3 services, 2 links, 1 chain to a blocked name'
	expect_match "$output" $'\nblocked  deploy-web → artifacts\\.internal → mirror\\.internal → github\\.com +[0-9]+  default\\.policy:[0-9]+ block github\\.com '
	expect_match "$output" $'\ndeploy-web +artifacts\\.internal +artifacts +name '
	expect_match "$output" $'\nartifacts +mirror\\.internal +'"${mirror:0:12}"' +address '
	cli_json '.kind == "graph" and .complete and (.services | length) == 3 and (.chains | length) == 1
		and (.chains[0] | .from == "deploy-web" and .name == "github.com" and .verdict == "blocked" and (.guess | not)
			and .chain == "deploy-web → artifacts.internal → mirror.internal → github.com"
			and [.through[].by] == ["name", "address"])' report --graph --json
	cli report --graph --format dot
	dot -Tsvg <<<"$output" >"$DF_HOST/graph.svg" || expect false
	expect_match "$(<"$DF_HOST/graph.svg")" '>github\.com</text>'

	# the three of them as a baseline: nothing new, then the one name that is
	deployfence report --all --json -o "$DF_HOST/graph-base.json"
	cli report --all --baseline "$DF_HOST/graph-base.json"
	expect [ "$status" = 0 ]
	job_exec "$(job_of "$mirror")" getent hosts other.example
	expect_event '.event == "query" and .domain == "other.example."'
	cli report --all --json --baseline "$DF_HOST/graph-base.json"
	expect [ "$status" = 1 ]
	expect jq -e '.baseline | [.new[].domain] == ["other.example."] and .gone == []' <<<"$output"
	rm "$DF_HOST/graph-base.json"

	# from reports, of which one is another host's: there the address may be anybody's
	for id in "$RUNDIR"/[!@]*; do
		id=$(basename "$id")
		deployfence report "$id" --json -o "$DF_HOST/graph.$id.json"
	done
	cli report --graph "$DF_HOST"/graph.*.json
	expect_match "$output" $'\nblocked  deploy-web → artifacts\\.internal → mirror\\.internal → github\\.com '
	jq '.containers[0].host = "elsewhere"' "$DF_HOST/graph.$mirror.json" >"$DF_HOST/other.json"
	mv "$DF_HOST/other.json" "$DF_HOST/graph.$mirror.json"
	cli report --graph "$DF_HOST"/graph.*.json
	expect_match "$output" $'\nblocked  deploy-web → artifacts\\.internal → mirror\\.internal\\? → github\\.com '
	expect_match "$output" $'\nartifacts +mirror\\.internal +[0-9a-f]{12} +address \\(a guess\\) '
	# the twin: without the upstream's report nothing is blocked
	rm "$DF_HOST/graph.$mirror.json"
	cli report --graph "$DF_HOST"/graph.*.json
	expect_match "$output" '^2 services, 1 link, 0 chains to a blocked name'
	rm "$DF_HOST"/graph.*
	job_stop_all
	expect_fence_gone
}

@test "files from elsewhere: which they are, and what is wrong with them" {
	deploy github.com
	cp "$RUNDIR"/*/events.jsonl "$DF_HOST/events"
	deployfence report --json -o "$DF_HOST/report.json"
	jq -c . "$DF_HOST/report.json" >"$DF_HOST/line.json"
	cli report "$DF_HOST/events"
	local text=$output name
	for name in report.json line.json; do
		cli report "$DF_HOST/$name"
		expect [ "$status" = 0 ]
		expect [ "$output" = "$text" ]
	done
	# both of one container count once
	cli report "$DF_HOST/line.json" "$DF_HOST/events" "$DF_HOST/report.json"
	expect [ "$output" = "$text" ]
	cli report "$DF_HOST/events" "$DF_HOST/events"
	expect_match "$output" "$(sed -nE '1 s/.*queries ([0-9]+) .*/\1/p' <<<"$text" | awk '{ print "queries " 2 * $1 " " }')"
	for name in '{"schema":1,"containers":[{"id":7}]}' '{"schema":9,"containers":[]}' '{"a":' '{}' "$(printf '{"a":%.0s' {1..100})"; do
		echo "$name" >"$DF_HOST/bad.json"
		cli report "$DF_HOST/bad.json"
		expect [ "$status" = 65 ]
		expect_match "$stderr" '^deployfence: [^ ]*/bad\.json: '
	done
	# one that is refused does not spoil the others
	cli report "$DF_HOST/bad.json" "$DF_HOST/report.json"
	expect [ "$status" = 65 ]
	expect [ "$output" = "$text" ]
	cli report "$DF_HOST"
	expect [ "$status" = 66 ]
	rm "$DF_HOST"/{events,report.json,line.json,bad.json}
}
