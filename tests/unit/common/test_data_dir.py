"""Who uses a data directory."""

import shutil
from pathlib import Path

from edge_common.plumbing.data_dir import LOCK_FILE, DataDirectory


def test_one_at_a_time(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path / "data"), DataDirectory(tmp_path / "data")
    claimed = first.claim()
    assert claimed
    assert first.claim() == claimed
    assert second.claim() is None
    first.release()
    assert second.claim() == claimed


def test_a_copy_is_another_directory(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path / "data")
    claimed = first.claim()
    (tmp_path / "copy").mkdir()
    shutil.copy2(tmp_path / "data" / LOCK_FILE, tmp_path / "copy" / LOCK_FILE)
    copied = DataDirectory(tmp_path / "copy").claim()
    assert copied
    assert copied != claimed
