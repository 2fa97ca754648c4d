"""Reading labelled CSV: what is broken is said, what is empty is counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from detectors.model.errors import TrainingDataError
from detectors.model.labelled import MAX_FIELD_BYTES, read_labelled, read_texts


def write(folder: Path, body: bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(body)
    return path


def test_reads_quotes_line_breaks_bom_and_gzip(tmp_path: Path) -> None:
    body = '\ufefftext,label,by\n"第一行\n第二行, ""引号""",1,甲\n,1,甲\n你好,,乙\n 12 ,0,乙\n'.encode()
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress(body))
    data = read_labelled(path, group_column="by")
    assert data.texts.to_pylist() == ['第一行\n第二行, "引号"', " 12 "]
    assert data.labels == ["1", "0"]
    assert data.groups is not None
    assert data.groups.tolist() == ["甲", "乙"]
    assert data.dropped == 2
    assert len(read_texts(path)) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Empty|empty"),
        (b"text,label\n", "no row"),
        (b"text,label\n,\n", "no row"),
        (b"content,label\nx,1\n", "no column 'text'"),
        (b"text,label\nx,1,3\n", "no readable CSV"),
        ("text,label\n测试,1\n".encode("gb18030"), "UTF-?8"),
        (b'text,label\n"' + b"x" * (2 * MAX_FIELD_BYTES + 10), "no readable CSV"),
    ],
)
def test_broken_files_are_typed_errors(body: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=said) as caught:
        read_labelled(write(tmp_path, body))
    assert caught.value.cure


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.csv"):
        with pytest.raises(TrainingDataError, match="cannot be read"):
            read_labelled(path)
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"text,label\nx,1\n" * 1000)[:-20])
    with pytest.raises(TrainingDataError):
        read_labelled(broken)
