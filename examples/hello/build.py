"""Assembles the image of the hello example from Debian's static busybox and a page: `build.py ARCHIVE`."""

import sys
from pathlib import Path

from hedgerow.machine.oci_archive import ArchiveFile, build_oci_archive

IMAGE = "hedgerow.local/examples/hello:1"
PORT = 8088
_BUSYBOX = Path("/usr/bin/busybox")
_PAGE = Path(__file__).with_name("index.html")


def build(archive: Path, busybox: Path = _BUSYBOX) -> str:
    """The digest of the image."""
    files = [
        ArchiveFile("bin/busybox", busybox.read_bytes(), mode=0o755),
        ArchiveFile("bin/sh", link_to="busybox"),
        ArchiveFile("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
        ArchiveFile("www/index.html", _PAGE.read_bytes()),
    ]
    config = {
        "Entrypoint": ["/bin/busybox", "httpd"],
        "Cmd": ["-f", "-v", "-p", str(PORT), "-h", "/www"],
        "User": "nobody",
        "WorkingDir": "/www",
        "ExposedPorts": {f"{PORT}/tcp": {}},
    }
    return build_oci_archive(archive, files, config, IMAGE)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: build.py ARCHIVE")
    build(Path(sys.argv[1]))
