"""The jars that run are the jars that were locked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lakehouse.errors import JarHashError, SetupError
from lakehouse.local.jars import Jar, JarCache, check, parse_lock, read_lock
from lakehouse.local.java import Java

CONTENT = b"the locked bytes"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
LINE = f"org.example:thing:1.0 sha256:{SHA256}"


def a_jar(sha256: str = SHA256) -> Jar:
    return Jar("spark", "org.example", "thing", "1.0", "jar", sha256)


def a_cached(folder: Path, content: bytes = CONTENT) -> Path:
    file = folder / a_jar().path
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return file


def test_a_lock_line_is_one_file() -> None:
    natives = f"org.example:lib:2.0@so sha256:{SHA256}"
    whole = f"org.example:sign-in:2.0:all sha256:{SHA256}"
    jar, native, classified = parse_lock(
        f"# comment\n\n[spark]\n{LINE}\n[dynamodb]\n{natives}\n[msk]\n{whole}\n"
    )
    assert jar == a_jar()
    assert (native.use, native.extension) == ("dynamodb", "so")
    assert native.path == Path("org.example/lib-2.0.so")
    assert native.coordinate == "org.example:lib:2.0@so"
    assert classified.path == Path("org.example/sign-in-2.0-all.jar")
    assert classified.coordinate == "org.example:sign-in:2.0:all"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(LINE, id="no use before it"),
        pytest.param("[spark]\norg.example:thing:1.0", id="no hash"),
        pytest.param(f"[spark]\norg.example:thing:1.0:a:b sha256:{SHA256}", id="two classifiers"),
        pytest.param("[spark]\norg.example:thing:1.0 sha256:abc", id="short hash"),
    ],
)
def test_a_broken_lock_names_the_line(text: str) -> None:
    with pytest.raises(SetupError, match=r"jars\.lock, line \d"):
        parse_lock(text)


def test_the_committed_lock_covers_every_use() -> None:
    assert {jar.use for jar in read_lock()} == {"spark", "msk", "kafka", "dynamodb", "s3"}


def test_a_wrong_file_is_named_and_removed(tmp_path: Path) -> None:
    file = a_cached(tmp_path, b"other bytes")
    with pytest.raises(JarHashError) as refused:
        check(a_jar(), file)
    actual = hashlib.sha256(b"other bytes").hexdigest()
    assert all(fact in str(refused.value) for fact in ("org.example:thing:1.0", SHA256, actual))
    assert not file.exists()


def test_what_lies_in_the_cache_unchanged_is_not_missing(tmp_path: Path) -> None:
    a_cached(tmp_path)
    other = Jar("kafka", "org.example", "other", "1.0", "jar", SHA256)
    assert JarCache(tmp_path).missing([a_jar(), other]) == [other]
    assert JarCache(tmp_path).missing([a_jar()]) == []


def test_a_file_changed_in_the_cache_is_refused(tmp_path: Path) -> None:
    file = a_cached(tmp_path)
    assert JarCache(tmp_path).missing([a_jar()]) == []
    file.write_bytes(CONTENT.replace(b"the", b"not"))
    os.utime(file, ns=(1, 1))
    with pytest.raises(JarHashError):
        JarCache(tmp_path).missing([a_jar()])
    assert not file.exists()


def test_an_interrupted_download_keeps_what_arrived(tmp_path: Path) -> None:
    a_cached(tmp_path / ".fetch" / "files")
    # no Java: nothing may need to be downloaded
    JarCache(tmp_path).fetch([a_jar()], Java(tmp_path, "nowhere"), lambda done, total: None)
    assert (tmp_path / a_jar().path).read_bytes() == CONTENT


def test_a_wrong_download_does_not_reach_the_cache(tmp_path: Path) -> None:
    a_cached(tmp_path / ".fetch" / "files", b"what a proxy sent")
    with pytest.raises(JarHashError):
        JarCache(tmp_path).fetch([a_jar()], Java(tmp_path, "nowhere"), lambda done, total: None)
    assert not list(tmp_path.rglob("*.jar"))
