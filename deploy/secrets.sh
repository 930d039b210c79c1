#!/bin/sh
# deploy/secrets.sh DIR: makes the secrets of compose.yaml and compose.cluster.yaml that are not there yet.
set -eu
dir=${1:?"give the folder, as deploy/secrets"}
cluster=${2:-} # "cluster" for compose.cluster.yaml
umask 077
mkdir -p "$dir"
word() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
put() { # put NAME TEXT: unless it is there
  [ -s "$dir/$1" ] || printf '%s\n' "$2" > "$dir/$1"
}
put postgres_password "$(word)"
put rabbitmq_password "$(word)"
put redis_password "$(word)"
put erlang_cookie "$(word)"
pg=$(cat "$dir/postgres_password") mq=$(cat "$dir/rabbitmq_password") rd=$(cat "$dir/redis_password")
if [ "$cluster" = cluster ]; then
  put database_url "postgres://hishub:$pg@postgres-1:5432,postgres-2:5432/hishub?target_session_attrs=read-write"
  # Each hub begins with another node, and goes to the next when it is lost.
  put amqp_url_1 "amqp://hishub:$mq@rabbitmq-1:5672/,amqp://hishub:$mq@rabbitmq-2:5672/,amqp://hishub:$mq@rabbitmq-3:5672/"
  put amqp_url_2 "amqp://hishub:$mq@rabbitmq-2:5672/,amqp://hishub:$mq@rabbitmq-3:5672/,amqp://hishub:$mq@rabbitmq-1:5672/"
else
  put database_url "postgres://hishub:$pg@postgres:5432/hishub"
  put amqp_url "amqp://hishub:$mq@rabbitmq:5672/"
fi
put redis_url "redis://:$rd@redis:6379/0"
put redis_conf "requirepass $rd"
put rabbitmq_conf "default_user = hishub
default_pass = $mq"
put hospitals_env "# NAME=value for the hospitals' folders, as their env.sample"
# The containers' users are not the one that owns these files: the folder is closed, the files are not.
chmod 700 "$dir"
chmod 644 "$dir"/*
