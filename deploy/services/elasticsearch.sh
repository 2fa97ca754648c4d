#!/usr/bin/env bash
# Elasticsearch 8.19 (one node, passwords on) on loopback, from Maven Central.
#
# Maven Central has the distribution that Elastic tests plugins with: the server as released, with the modules
# transport-netty4, x-pack-core and x-pack-security, and none of the others (no `GET /`, no data streams, no
# delete_by_query, no Painless). Its two analysers of Chinese are Lucene's own, brought in by a plugin of two
# classes (elasticsearch/) under the names that they have in a full distribution: cjk and smartcn.
#
# LIUCUN_ELASTICSEARCH_TLS=1: it speaks TLS, with a certificate that is its own authority; tests then go by that.
NAME=elasticsearch
. "$(dirname "$0")/lib.sh"

VERSION=8.19.0
JAVA_HOME_17=${LIUCUN_JAVA17:-}
HEAP=${LIUCUN_ELASTICSEARCH_HEAP:-512m}
USER_NAME=${LIUCUN_ELASTICSEARCH_USER:-nobody}
ACCOUNT=liucun
TLS=${LIUCUN_ELASTICSEARCH_TLS:-0}
# A Java server that starts on two busy cores.
READY_SECONDS=${READY_SECONDS:-300}
[ "$READY_SECONDS" -ge 300 ] || READY_SECONDS=300

# Server 8.19 runs on Java 17 to 24.
java_home() {
    local found=$JAVA_HOME_17
    [ -n "$found" ] || found=$(ls -d /usr/lib/jvm/java-17-openjdk-* /usr/lib/jvm/java-21-openjdk-* 2>/dev/null | head -n 1 || true)
    [ -x "$found/bin/java" ] && echo "$found"
}

install_server() {
    local pom="$HERE/elasticsearch/elasticsearch.pom.xml" server="$FOLDER/server" lib="$FOLDER/lib" home
    cat "$pom" "$HERE"/elasticsearch/*.java "$0" | cmp -s - "$FOLDER/installed" && return 0
    home=$(java_home) || { apt_install openjdk-17-jdk-headless; home=$(java_home) || fail "Java 17 is not on this machine"; }
    [ -x "$home/bin/javac" ] || apt_install openjdk-17-jdk-headless
    command -v mvn >/dev/null || apt_install maven
    command -v unzip >/dev/null || apt_install unzip
    rm -rf "$server" "$lib" && mkdir -p "$lib"
    mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$lib" >"$FOLDER/install.log" 2>&1 ||
        { tail -n 5 "$FOLDER/install.log" >&2; fail "Maven Central did not give the server"; }
    unzip -q "$lib/elasticsearch-$VERSION.zip" -d "$FOLDER/unpacking" && mv "$FOLDER/unpacking/elasticsearch-$VERSION" "$server"
    rm -rf "$FOLDER/unpacking" "$lib/elasticsearch-$VERSION.zip"
    plugin "$home" "$server" "$lib"
    cat "$pom" "$HERE"/elasticsearch/*.java "$0" >"$FOLDER/installed"
}

# The plugin with the two analysers, by Elasticsearch's stable interface for such plugins. plugin JAVA SERVER LIB
plugin() {
    local place="$2/plugins/liucun-analysis" classes="$FOLDER/classes"
    rm -rf "$classes" && mkdir -p "$place" "$classes"
    "$1/bin/javac" --release 17 -cp "$2/lib/*:$3/*" -d "$classes" "$HERE"/elasticsearch/*.java >>"$FOLDER/install.log" 2>&1 ||
        { tail -n 5 "$FOLDER/install.log" >&2; fail "the plugin could not be compiled"; }
    "$1/bin/jar" --create --file "$place/liucun-analysis.jar" -C "$classes" .
    cp "$3"/lucene-analysis-smartcn-*.jar "$place/"
    cat >"$place/stable-plugin-descriptor.properties" <<CONF
name=liucun-analysis
description=Analysers of Chinese for tests
version=1
elasticsearch.version=$VERSION
java.version=17
CONF
    cat >"$place/named_components.json" <<'CONF'
{"org.elasticsearch.plugin.analysis.AnalyzerFactory": {"cjk": "org.liucun.services.Cjk", "smartcn": "org.liucun.services.Smartcn"}}
CONF
}

settings() {
    cat <<CONF
cluster.name: liucun
node.name: one
discovery.type: single-node
http.host: 127.0.0.1
http.port: $1
transport.host: 127.0.0.1
transport.port: $2
path.data: $FOLDER/data
path.logs: $FOLDER/logs
xpack.security.enabled: true
$(tls)
xpack.security.transport.ssl.enabled: false
# A nearly full disk of the test machine must not make every index read-only.
cluster.routing.allocation.disk.threshold_enabled: false
CONF
}

tls() {
    if [ "$TLS" != 1 ]; then echo "xpack.security.http.ssl.enabled: false"; return 0; fi
    cat <<CONF
xpack.security.http.ssl.enabled: true
xpack.security.http.ssl.key: tls/key.pem
xpack.security.http.ssl.certificate: tls/ca.pem
CONF
}

# A certificate for 127.0.0.1 that clients trust as its own authority, where the server may read it. certificate CONFIG
certificate() {
    command -v openssl >/dev/null || apt_install openssl
    [ -s "$FOLDER/ca.pem" ] ||
        (umask 077; openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
            -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "extendedKeyUsage=serverAuth" \
            -keyout "$FOLDER/key.pem" -out "$FOLDER/ca.pem" 2>>"$FOLDER/install.log")
    mkdir -p "$1/tls" && cp "$FOLDER/key.pem" "$FOLDER/ca.pem" "$1/tls/"
}

start_server() {
    local port transport password home config="$FOLDER/server/config" scheme=http authority=()
    port=$(free_port port) transport=$(free_port transport-port) password=$(secret password)
    home=$(java_home)
    if [ "$TLS" = 1 ]; then
        certificate "$config"
        scheme=https authority=("LIUCUN_TEST_ELASTICSEARCH_CA=$FOLDER/ca.pem")
    fi
    settings "$port" "$transport" >"$config/elasticsearch.yml"
    mkdir -p "$FOLDER/data" "$FOLDER/logs"
    if [ "$(id -u)" = 0 ]; then
        # It refuses to run as root, writes a keystore beside its settings and a log of its own, and must reach the folder.
        chown -R "$USER_NAME:" "$FOLDER/server/config" "$FOLDER/server/logs" "$FOLDER/data" "$FOLDER/logs"
        chmod 711 "$SERVICES" "$FOLDER"
    fi
    export ES_JAVA_HOME="$home" ES_JAVA_OPTS="-Xms$HEAP -Xmx$HEAP -XX:-UseG1GC -XX:+UseSerialGC" ES_TMPDIR="$FOLDER/data"
    # An account of the server's own file; its client needs no licence and no set-up over HTTP.
    grep -q "^$ACCOUNT:" "$config/users" 2>/dev/null ||
        (cd / && "$HERE/as-user.sh" "$USER_NAME" "$FOLDER/server/bin/elasticsearch-users" useradd "$ACCOUNT" -p "$password" -r superuser) \
            >>"$FOLDER/install.log" 2>&1 || { tail -n 5 "$FOLDER/install.log" >&2; fail "its account could not be made"; }
    publish "LIUCUN_TEST_ELASTICSEARCH=$scheme://127.0.0.1:$port" "LIUCUN_TEST_ELASTICSEARCH_USER=$ACCOUNT" \
        "LIUCUN_TEST_ELASTICSEARCH_PASSWORD=$password" "${authority[@]}"
    cd /
    launch main "$HERE/as-user.sh" "$USER_NAME" "$FOLDER/server/bin/elasticsearch"
}

# It answers as the account: its port opens before its accounts can be asked.
ready_server() {
    (set -a; . "$FOLDER/env"; "$PYTHON") <<'PY'
import base64, os, ssl, urllib.request
url, user, password = (os.environ["LIUCUN_TEST_ELASTICSEARCH" + end] for end in ("", "_USER", "_PASSWORD"))
trust = ssl.create_default_context(cafile=os.environ.get("LIUCUN_TEST_ELASTICSEARCH_CA"))
ask = urllib.request.Request(f"{url}/_cluster/health?wait_for_status=yellow&timeout=2s")
ask.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
urllib.request.urlopen(ask, timeout=5, context=trust)
PY
}

main "$@"
