#!/usr/bin/env bash
# A Kafka broker (KRaft, one node) on loopback, from Maven Central: one listener in the clear, one with TLS and SASL,
# one with TLS that asks clients for a certificate.
NAME=kafka
. "$(dirname "$0")/lib.sh"

JAVA=${JAVA:-java}
HEAP=${LIUCUN_KAFKA_HEAP:-512m}
USER_SASL=liucun

# The libraries, fetched once for every change of the pom.
install_server() {
    local pom="$HERE/kafka.pom.xml" lib="$FOLDER/lib"
    cmp -s "$pom" "$lib/pom.xml" && return 0
    command -v "$JAVA" >/dev/null || apt_install openjdk-17-jre-headless
    command -v mvn >/dev/null || apt_install maven
    command -v openssl >/dev/null || apt_install openssl
    rm -rf "$lib" && mkdir -p "$lib"
    mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$lib" >"$FOLDER/install.log" 2>&1 ||
        { tail -n 5 "$FOLDER/install.log" >&2; fail "Maven Central did not give the libraries"; }
    cp "$pom" "$lib/pom.xml"
}

# A certificate for 127.0.0.1 that clients trust as its own authority, and its key, in PEM.
certificate() {
    [ -s "$FOLDER/ca.pem" ] && return 0
    (
        umask 077
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
            -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" -addext "extendedKeyUsage=serverAuth" \
            -keyout "$FOLDER/key.pem" -out "$FOLDER/ca.pem" 2>>"$FOLDER/install.log"
        cat "$FOLDER/key.pem" "$FOLDER/ca.pem" >"$FOLDER/keystore.pem"
    )
}

# The authority whose clients the third listener lets in, and its key, with which tests sign certificates of theirs.
client_authority() {
    [ -s "$FOLDER/client-ca.pem" ] && return 0
    (
        umask 077
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=clients of the test broker" \
            -addext "keyUsage=critical,keyCertSign,cRLSign" \
            -keyout "$FOLDER/client-ca-key.pem" -out "$FOLDER/client-ca.pem" 2>>"$FOLDER/install.log"
    )
}

settings() {
    local password=$1 plain=$2 secure=$3 mutual=$4 controller=$5
    local module=org.apache.kafka.common.security
    cat <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$plain,SASL_SSL://127.0.0.1:$secure,MUTUAL://127.0.0.1:$mutual,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$plain,SASL_SSL://127.0.0.1:$secure,MUTUAL://127.0.0.1:$mutual
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,MUTUAL:SSL
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=$module.plain.PlainLoginModule required user_$USER_SASL="$password";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location=$FOLDER/client-ca.pem
ssl.keystore.type=PEM
ssl.keystore.location=$FOLDER/keystore.pem
log.dirs=$FOLDER/data
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=1000
log.initial.task.delay.ms=1000
CONF
}

java_tool() {
    "$JAVA" -Xmx256m -cp "$FOLDER/lib/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn "$@" >>"$FOLDER/install.log" 2>&1
}

start_server() {
    local password plain secure mutual controller
    plain=$(free_port port) secure=$(free_port secure-port) mutual=$(free_port mutual-port)
    controller=$(free_port controller-port)
    password=$(secret password)
    certificate
    client_authority
    (umask 077; settings "$password" "$plain" "$secure" "$mutual" "$controller" >"$FOLDER/server.properties")
    if [ ! -s "$FOLDER/data/meta.properties" ]; then
        java_tool kafka.tools.StorageTool format --config "$FOLDER/server.properties" --ignore-formatted \
            --cluster-id "$("$PYTHON" -c 'import base64, uuid; print(base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))')" ||
            { tail -n 5 "$FOLDER/install.log" >&2; fail "its folder could not be formatted"; }
    fi
    publish "LIUCUN_TEST_KAFKA=127.0.0.1:$plain" "LIUCUN_TEST_KAFKA_SECURE=127.0.0.1:$secure" \
        "LIUCUN_TEST_KAFKA_MUTUAL=127.0.0.1:$mutual" "LIUCUN_TEST_KAFKA_CLIENT_CA=$FOLDER/client-ca.pem" \
        "LIUCUN_TEST_KAFKA_CLIENT_CA_KEY=$FOLDER/client-ca-key.pem" \
        "LIUCUN_TEST_KAFKA_CA=$FOLDER/ca.pem" "LIUCUN_TEST_KAFKA_USER=$USER_SASL" "LIUCUN_TEST_KAFKA_PASSWORD=$password"
    launch main "$JAVA" "-Xms$HEAP" "-Xmx$HEAP" -XX:+UseSerialGC -cp "$FOLDER/lib/*" \
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn kafka.Kafka "$FOLDER/server.properties"
}

# The broker answers a client, not just the port: it opens its port before it has a leader.
ready_server() {
    "$PYTHON" - "$(cat "$FOLDER/port")" <<'PY'
import sys
from confluent_kafka.admin import AdminClient
AdminClient({"bootstrap.servers": f"127.0.0.1:{sys.argv[1]}", "log_level": 0}).list_topics(timeout=3)
PY
}

# The account of SCRAM with both its digests, on a broker that was made before one of them was wanted, too.
after_start() {
    "$PYTHON" - "$(cat "$FOLDER/port")" "$USER_SASL" "$(cat "$FOLDER/password")" <<'PY'
import sys
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
port, user, password = sys.argv[1:]
mechanisms = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)
wanted = [UserScramCredentialUpsertion(user, ScramCredentialInfo(kind, 4096), password.encode()) for kind in mechanisms]
admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
for one in wanted:
    admin.alter_user_scram_credentials([one])[user].result(30)
PY
}

main "$@"
