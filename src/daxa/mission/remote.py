"""What archives hold: directory pages over HTTPS and the listings of S3 buckets."""

from __future__ import annotations

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urljoin, urlsplit

from daxa.exceptions import DAXADownloadError
from daxa.fetch import unpack
from daxa.fetch.http import Client, NotThere, RemoteFile
from daxa.mission.download import Progress

_LINK = re.compile(r"""<a\s[^>]*?href\s*=\s*["']([^"'>]+)["']""", re.IGNORECASE)
_MAX_DEPTH = 6


def list_directory(
    client: Client,
    url: str,
    wanted: Callable[[str], bool] = lambda path: True,
    below: str = "",
    depth: int = 0,
) -> list[RemoteFile]:
    """Files under a directory page, sub-directories included.

    Parameters
    ----------
    client
        What asks.
    url
        Address of the directory.
    wanted
        Given a file's path below the directory, whether it is wanted.
    below
        Path of this directory below the first one, with a slash at its end.
    depth
        How many directories the first one is above; not more than six.

    Raises
    ------
    NotThere
        There is no such directory.
    DAXADownloadError
        The page is not a directory listing, or was cut.
    """
    base = url.rstrip("/") + "/"
    page = client.get_text(base)
    if "</html>" not in page.lower():
        raise DAXADownloadError(f"{base}: the directory page is incomplete")
    files, seen = [], set()
    for link in _LINK.findall(page):
        full = urljoin(base, html.unescape(link).split("#")[0])
        name = full.removeprefix(base)
        if name == full or not name or "?" in name or full in seen:
            continue
        seen.add(full)
        folder, name = name.endswith("/"), unquote(name.rstrip("/"))
        if "/" in name or name in (".", ".."):
            continue
        path = f"{below}{name}"
        unpack.safe_member_path(path, base)
        if not folder:
            if wanted(path):
                files.append(RemoteFile(full, path))
        elif depth < _MAX_DEPTH:
            files += list_directory(client, full, wanted, f"{path}/", depth + 1)
    if not seen and not re.search(r"index of|directory", page, re.IGNORECASE):
        raise DAXADownloadError(f"{base}: the server's answer is not a directory page")
    return files


def list_bucket(
    client: Client, url: str, prefix: str, wanted: Callable[[str], bool] = lambda path: True
) -> list[RemoteFile]:
    """Objects under a prefix of a public S3 bucket, with sizes and, where S3 has them, MD5 sums.

    Parameters
    ----------
    client
        What asks.
    url
        Address of the bucket, without a slash at its end.
    prefix
        Folder in the bucket, with or without slashes around it.
    wanted
        Whether an object is wanted, by its path below the prefix.

    Returns
    -------
    list of RemoteFile
        The wanted ones, with paths below the prefix.

    Raises
    ------
    NotThere
        There is nothing under the prefix.
    DAXADownloadError
        The answer is not an S3 listing.
    """
    prefix = prefix.strip("/") + "/"
    files: list[RemoteFile] = []
    listed, token = False, None
    while True:
        params = {"list-type": "2", "prefix": prefix} | ({"continuation-token": token} if token else {})
        text = client.get_text(f"{url}/", params)
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as err:
            raise DAXADownloadError(f"{url}: not an S3 listing of {prefix} ({err})") from err
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        for item in root.iter(f"{space}Contents"):
            key = item.findtext(f"{space}Key", "")
            if not key.startswith(prefix) or key.endswith("/"):
                continue
            listed = True
            path = key.removeprefix(prefix)
            unpack.safe_member_path(path, url)
            if not wanted(path):
                continue
            tag = item.findtext(f"{space}ETag", "").strip('"')
            md5 = (
                tag if re.fullmatch(r"[0-9a-fA-F]{32}", tag) else None
            )  # of multipart uploads it is not an MD5
            size = item.findtext(f"{space}Size", "")
            files.append(RemoteFile(f"{url}/{quote(key)}", path, int(size) if size.isdigit() else None, md5))
        token = root.findtext(f"{space}NextContinuationToken")
        if root.findtext(f"{space}IsTruncated", "").lower() != "true" or not token:
            break
    if not listed:
        raise NotThere(f"{url}: nothing under {prefix}")
    return files


def fetch_files(
    client: Client,
    files: list[RemoteFile],
    staging: Path,
    progress: Progress,
    below: str = "",
    decompress: bool = True,
    have: Collection[str] = (),
) -> list[Path]:
    """Fetch files into a staging folder and decompress those that came as ``.gz`` or ``.Z``.

    A file that arrived damaged is fetched once more; those in `have` (paths as they are in the
    observation's folder) are not fetched.

    Parameters
    ----------
    client
        What fetches.
    files
        The files.
    staging
        Folder that they are put in, under their paths.
    progress
        Bar that counts the bytes.
    below
        Folder in the staging folder that they go to.
    decompress
        Whether files compressed with gzip or compress are decompressed.
    have
        Paths in the observation's folder of files that are there already.

    Returns
    -------
    list of Path
        The files, in the staging folder.

    Raises
    ------
    NotThere
        No files are given.
    DAXADownloadError
        One cannot be fetched, or arrives damaged twice.
    """
    if not files:
        raise NotThere("the archive holds none of the wanted files")
    done = []
    for file in files:
        target = staging / below / PurePosixPath(file.path)
        plain = target.with_suffix("") if decompress and target.suffix in (".gz", ".Z") else target
        if plain.relative_to(staging).as_posix() in have:
            continue
        if not plain.exists():
            fetch_checked(
                client, file, target, progress, unpack.decompress_in_place if plain != target else None
            )
        done.append(plain)
    return done


def fetch_checked(
    client: Client,
    file: RemoteFile,
    target: Path,
    progress: Progress,
    use: Callable[[Path], object] | None,
    params: dict | None = None,
) -> None:
    """Fetch a file and use it; if it turns out to be damaged, fetch it afresh once.

    Parameters
    ----------
    client
        What fetches.
    file
        The file.
    target
        Where it goes.
    progress
        Bar that counts the bytes.
    use
        What is done with it, and finds out whether it is damaged; None: nothing.
    params
        Parameters of the request.

    Raises
    ------
    DAXADownloadError
        It cannot be fetched, or arrives damaged twice.
    """
    for last in (False, True):
        client.fetch(file, target, progress.add, progress.expect, params)
        if use is None:
            return
        try:
            use(target)
            return
        except DAXADownloadError as err:
            size = target.stat().st_size if target.exists() else 0
            target.unlink(missing_ok=True)
            if last:
                raise DAXADownloadError(
                    f"{file.path} of {urlsplit(file.url).netloc} is damaged: {err}"
                ) from err
            progress.expect(size)
