#!/bin/sh
# Keys for analyzer and trainer, once, and a folder of runs that both may write.
set -eu
wanted="$SIDELIGHT_UID:$SIDELIGHT_GID"

owner=$(stat -c %u /runs)
if [ "$owner" = 0 ]; then
    chown "$wanted" /runs # Docker has made it, or its user is root
elif [ "$owner" != "$SIDELIGHT_UID" ]; then
    echo "./runs belongs to user $owner, and results would belong to $SIDELIGHT_UID." >&2
    echo "Write SIDELIGHT_UID=$owner and SIDELIGHT_GID=$(stat -c %g /runs) into the file .env." >&2
    exit 1
fi

if [ ! -e /keys/analyzer/server.key_secret ] || [ ! -e /keys/trainer/client.key_secret ]; then
    made=$(mktemp -d)
    python -m analyzer_service keys "$made/keys" >/dev/null
    rm -rf /keys/analyzer/* /keys/trainer/*
    cp -r "$made/keys/server.key" "$made/keys/server.key_secret" "$made/keys/authorized" /keys/analyzer/
    cp "$made/keys/server.key" "$made/keys/client.key_secret" /keys/trainer/
    rm -rf "$made"
    echo "keys made"
fi
for folder in /keys/analyzer /keys/trainer; do
    chown -R "$wanted" "$folder"
    chmod 700 "$folder"
    chmod 600 "$folder"/*_secret
done

touch /tmp/ready
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'trap exit TERM; sleep infinity & wait'
