# Debian's mosquitto where eclipse-mosquitto has it: the same paths, the same user.
FROM hedgerow.local/base/debian-mosquitto
RUN set -e; \
    ln -s /usr/lib/*/mosquitto_dynamic_security.so /usr/lib/mosquitto_dynamic_security.so; \
    usermod -u 1883 mosquitto; \
    groupmod -g 1883 mosquitto; \
    install -d -o mosquitto -g mosquitto /mosquitto/config /mosquitto/data /mosquitto/log
VOLUME ["/mosquitto/data", "/mosquitto/log"]
CMD ["/usr/sbin/mosquitto", "-c", "/mosquitto/config/mosquitto.conf"]
