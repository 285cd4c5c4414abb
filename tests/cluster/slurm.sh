#!/usr/bin/env bash
# A SLURM of two nodes, n1 and n2, on this one machine, for tests: all that it writes lies in FOLDER.
#
#   slurm.sh start FOLDER PORT    installs what it needs where it may (root and apt-get), and waits until both nodes are idle;
#                                 takes the ports PORT to PORT + 2. Then `. FOLDER/environment` leads sbatch there.
#   slurm.sh stop FOLDER          ends its daemons and whatever jobs are left
#
# Where SLURM cannot be had it says why, and ends with 3.
set -euo pipefail

main() {
    command=$1 folder=$2
    export PATH=$PATH:/usr/sbin:/sbin SLURM_CONF=$folder/slurm.conf
    case $command in
        start) start "$3" ;;
        stop) stop ;;
        *) echo "slurm.sh: got $command, accepts start or stop" >&2 && exit 2 ;;
    esac
}

start() {
    [ "$(id -u)" = 0 ] || lacking "slurmd runs jobs as root only"
    (flock 9 && install) 9> "${TMPDIR:-/tmp}/vgexp-slurm.lock" || lacking "apt-get cannot install slurm-wlm and munge"
    mkdir -p "$folder"/{bin,state,spool,log}
    chmod 755 "$folder"
    configure "$1"
    (umask 077 && head -c 1024 /dev/urandom > "$folder/munge.key")
    munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" --pid-file="$folder/munged.pid" \
        --log-file="$folder/log/munged" --seed-file="$folder/munge.seed" 2> /dev/null
    slurmctld -i > /dev/null 2>&1
    slurmd -N n1 && slurmd -N n2
    for _ in $(seq 600); do
        [ "$(sinfo --noheader --format=%T%D 2> /dev/null)" = idle2 ] && return
        sleep 0.1
    done
    tail -n 5 "$folder"/log/* >&2
    stop
    lacking "the nodes are not idle after a minute"
}

install() {
    command -v slurmctld slurmd munged sbatch > /dev/null && return
    export DEBIAN_FRONTEND=noninteractive
    for _ in 1 2; do
        apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null 2>&1 && return
        apt-get update -qq > /dev/null 2>&1
    done
    return 1
}

lacking() {
    echo "no SLURM: $1" >&2
    exit 3
}

configure() {
    cat > "$folder/slurm.conf" << END
ClusterName=vgexp
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its credential is gone, two minutes by default.
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld
SlurmdLogFile=$folder/log/slurmd-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0
ReturnToService=2
KillWait=30
MessageTimeout=60
JobRequeue=1
MpiDefault=none
SwitchType=switch/none
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$(($1 + 1)) CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$(($1 + 2)) CPUs=1 State=UNKNOWN
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
    # Without slurmdbd, which needs a database, sacct says nothing: this one reads what the controller still remembers.
    cat > "$folder/bin/sacct" << 'END'
#!/usr/bin/env bash
echo "JobID|State|NodeList"
while [ $# -gt 0 ]; do
    if [ "$1" = -j ]; then
        scontrol --oneliner show job "$2" | awk '{
            split("", job)
            for (i = 1; i <= NF; i++) { at = index($i, "="); job[substr($i, 1, at - 1)] = substr($i, at + 1) }
            task = job["ArrayTaskId"]
            if (task != "") task = task ~ /^[0-9]+$/ ? "_" task : "_[" task "]"
            print (task == "" ? job["JobId"] : job["ArrayJobId"] task) "|" job["JobState"] "|" job["NodeList"]
        }'
    fi
    shift
done
END
    chmod 755 "$folder/bin/sacct"
    printf 'export SLURM_CONF=%q PATH=%q:$PATH\n' "$folder/slurm.conf" "$folder/bin" > "$folder/environment"
}

stop() {
    local daemons
    scancel --full --signal=KILL --user=root 2> /dev/null || true
    daemons=$(cat "$folder"/*.pid 2> /dev/null || true)
    kill $daemons 2> /dev/null || true
    for _ in $(seq 100); do
        living $daemons || return 0
        sleep 0.1
    done
    kill -KILL $daemons 2> /dev/null || true
}

# Whether one of the processes lasts; who has ended and is not yet waited for does not.
living() {
    local pid
    for pid in "$@"; do
        grep -qs '^State:[[:space:]]*[^Z]' "/proc/$pid/status" && return 0
    done
    return 1
}

main "$@"
