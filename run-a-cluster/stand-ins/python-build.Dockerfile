# What the build stage of a service needs besides Python: its packages, so that pip asks nobody for them.
FROM hedgerow.local/base/python
COPY wheels /wheels
RUN printf '[global]\nno-index = true\nfind-links = /wheels\n' >/etc/pip.conf
