#!/usr/bin/env bash
# A Flink standalone cluster, Beam's job server for it, and the pool of Python workers: four processes on loopback.
#
# Flink comes from PyPI (its libraries, in a folder of their own), the job server from Maven Central.
# Besides the usual commands: flink.sh PART stop|kill|start, PART being main (the job manager), taskmanager,
# jobserver or workers.
NAME=flink
. "$(dirname "$0")/lib.sh"

JAVA=${JAVA:-java}
FLINK_VERSION=1.19.3
SLOTS=${LIUCUN_FLINK_SLOTS:-2}
PARTS=(main taskmanager jobserver workers)

# What Flink and Kryo open of Java 17's modules.
OPENS=(--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
    --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
for package in lang net io nio util text time lang.reflect util.concurrent util.concurrent.atomic util.concurrent.locks; do
    OPENS+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
OPENS+=(--add-opens=java.base/sun.nio.ch=ALL-UNNAMED)

install_server() {
    command -v "$JAVA" >/dev/null || apt_install openjdk-17-jre-headless
    command -v mvn >/dev/null || apt_install maven
    if [ "$(cat "$FOLDER/python/version" 2>/dev/null)" != "$FLINK_VERSION" ]; then
        rm -rf "$FOLDER/python"
        "$PYTHON" -m pip install -q --disable-pip-version-check --no-deps --target "$FOLDER/python" \
            "apache-flink-libraries==$FLINK_VERSION" >>"$FOLDER/install.log" 2>&1 ||
            { tail -n 5 "$FOLDER/install.log" >&2; fail "PyPI did not give Flink"; }
        echo "$FLINK_VERSION" >"$FOLDER/python/version"
    fi
    local pom="$HERE/flink.pom.xml" lib="$FOLDER/jobserver-lib"
    cmp -s "$pom" "$lib/pom.xml" && return 0
    rm -rf "$lib" && mkdir -p "$lib"
    mvn -B -q -f "$pom" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$lib" >>"$FOLDER/install.log" 2>&1 ||
        { tail -n 5 "$FOLDER/install.log" >&2; fail "Maven Central did not give the job server"; }
    cp "$pom" "$lib/pom.xml"
}

settings() {
    cat <<CONF
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: $(free_port rpc-port)
jobmanager.bind-host: 127.0.0.1
blob.server.port: $(free_port blob-port)
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: $(free_port port)
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: $SLOTS
taskmanager.cpu.cores: $SLOTS
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.task.heap.size: 512m
taskmanager.memory.task.off-heap.size: 128m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
execution.checkpointing.dir: file://$FOLDER/checkpoints
state.checkpoints.dir: file://$FOLDER/checkpoints
state.savepoints.dir: file://$FOLDER/savepoints
state.backend.type: hashmap
heartbeat.interval: 2000
heartbeat.timeout: 10000
restart-strategy.type: exponential-delay
restart-strategy.exponential-delay.initial-backoff: 500 ms
restart-strategy.exponential-delay.max-backoff: 10 s
restart-strategy.exponential-delay.attempts-before-reset-backoff: 2147483647
io.tmp.dirs: $FOLDER/tmp
classloader.check-leaked-classloader: false
CONF
}

logging() {
    cat <<CONF
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = Console
appender.console.name = Console
appender.console.type = CONSOLE
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1} %m%n
logger.pekko.name = org.apache.pekko
logger.pekko.level = WARN
CONF
}

flink_java() {
    local key=$1 heap=$2; shift 2
    launch "$key" "$JAVA" "-Xms64m" "-Xmx$heap" -XX:+UseSerialGC -XX:MaxMetaspaceSize=256m "${OPENS[@]}" \
        "-Dlog4j.configurationFile=$FOLDER/conf/log4j.properties" -cp "$FOLDER/python/pyflink/lib/*" "$@" --configDir "$FOLDER/conf"
}

# Workers open the store themselves: its passphrase (of stores for tests: made here), and credentials of the servers.
worker_settings() {
    if [ -z "${LIUCUN_PASSPHRASE:-}${LIUCUN_PASSPHRASE_FILE:-}" ]; then
        secret passphrase >/dev/null
        export LIUCUN_PASSPHRASE_FILE="$FOLDER/passphrase"
    fi
    if [ -z "${AWS_ACCESS_KEY_ID:-}" ] && [ -s "$SERVICES/s3/env" ]; then
        . "$SERVICES/s3/env"
        export AWS_ACCESS_KEY_ID=${LIUCUN_TEST_S3_ACCESS_KEY:-} AWS_SECRET_ACCESS_KEY=${LIUCUN_TEST_S3_SECRET_KEY:-}
        export AWS_EC2_METADATA_DISABLED=true
    fi
    if [ -z "${PGPASSFILE:-}" ] && [ -s "$SERVICES/postgres/pgpass" ]; then
        export PGPASSFILE="$SERVICES/postgres/pgpass"
    fi
    if [ -z "${LIUCUN_TEST_KAFKA_PASSWORD:-}" ] && [ -s "$SERVICES/kafka/env" ]; then
        . "$SERVICES/kafka/env"
        export LIUCUN_TEST_KAFKA_PASSWORD
    fi
}

start_part() {
    running "$1" >/dev/null && return 0
    case "$1" in
    main) flink_java main 512m org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint ;;
    taskmanager) flink_java taskmanager 640m org.apache.flink.runtime.taskexecutor.TaskManagerRunner ;;
    jobserver)
        launch jobserver "$JAVA" -Xms64m -Xmx512m -XX:+UseSerialGC "${OPENS[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=info \
            -cp "$FOLDER/jobserver-lib/*" org.apache.beam.runners.flink.FlinkJobServerDriver \
            --flink-master "127.0.0.1:$(cat "$FOLDER/port")" --job-host 127.0.0.1 --job-port "$(free_port jobserver-port)" \
            --artifact-port "$(free_port artifact-port)" --expansion-port "$(free_port expansion-port)" \
            --artifacts-dir "$FOLDER/artifacts"
        ;;
    workers) (cd "$PROJECT" && worker_settings && launch workers "$PYTHON" -m pipelines.runners.worker_pool --port "$(free_port workers-port)") ;;
    *) fail "there is no part \"$1\"; parts: ${PARTS[*]}" ;;
    esac
}

start_server() {
    mkdir -p "$FOLDER/conf" "$FOLDER/tmp" "$FOLDER/checkpoints" "$FOLDER/savepoints"
    settings >"$FOLDER/conf/flink-conf.yaml"
    logging >"$FOLDER/conf/log4j.properties"
    local part
    for part in "${PARTS[@]}"; do start_part "$part"; done
    publish "LIUCUN_TEST_FLINK=127.0.0.1:$(cat "$FOLDER/port")" \
        "LIUCUN_TEST_FLINK_JOB_SERVER=127.0.0.1:$(cat "$FOLDER/jobserver-port")" \
        "LIUCUN_TEST_FLINK_WORKERS=127.0.0.1:$(cat "$FOLDER/workers-port")" "LIUCUN_TEST_FLINK_PASSPHRASE_FILE=$FOLDER/passphrase"
}

# The cluster has its slots, and the job server and the pool listen.
ready_server() {
    local part
    for part in "${PARTS[@]}"; do running "$part" >/dev/null || return 1; done
    listening "$(cat "$FOLDER/jobserver-port")" && listening "$(cat "$FOLDER/workers-port")" &&
        "$PYTHON" - "$(cat "$FOLDER/port")" "$SLOTS" <<'PY'
import json, sys, urllib.request
with urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/overview", timeout=3) as answer:
    sys.exit(0 if json.load(answer)["slots-total"] >= int(sys.argv[2]) else 1)
PY
}

stop_server() { for part in workers jobserver taskmanager main; do halt "$part"; done; }

if [[ " ${PARTS[*]} " == *" ${1:-} "* ]]; then
    FOLDER="$SERVICES/$NAME"
    case "${2:-}" in
    stop) halt "$1" ;;
    kill) halt "$1" KILL ;;
    start) start_part "$1" ;;
    *) fail "usage: $0 $1 stop|kill|start" ;;
    esac
    say "$1: ${2}"
else
    main "$@"
fi
