# A MongoDB-compatible store for tests, with as much of the mongo image's contract as the compose files use.
FROM hedgerow.local/base/python
COPY store-wheels /wheels
RUN set -e; \
    python3 -m venv /opt/store; \
    /opt/store/bin/pip install -q --no-index --find-links /wheels secantusdb pymongo; \
    groupadd --gid 999 --system mongodb; \
    useradd --uid 999 --system --gid mongodb --home-dir /data/db mongodb; \
    install -d -o mongodb -g mongodb /data/db /data/configdb; \
    rm -r /wheels
COPY mongod /usr/local/bin/mongod
ENV HOME=/data/db
VOLUME ["/data/db", "/data/configdb"]
CMD ["mongod"]
