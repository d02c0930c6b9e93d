"""What archives hold: directory pages over HTTPS and the listings of S3 buckets."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urljoin

from daxa.exceptions import DAXADownloadError
from daxa.fetch import unpack
from daxa.fetch.http import Client, NotThere, RemoteFile, host
from daxa.mission.bucket import read_page
from daxa.mission.download import Progress
from daxa.plain import foreign

_LINK = re.compile(r"""<a\s[^<>]{0,500}?href\s{0,9}=\s{0,9}["']([^"'<>]{1,2000})["']""", re.IGNORECASE)


class _Listing:
    """What the listing of one observation has cost so far."""

    def __init__(self, client: Client, url: str):
        self.client, self.url, self.limits = client, url, client.limits
        self.pages = 0
        self.files: list[RemoteFile] = []
        self._until = client.clock() + self.limits.listing_s

    def page(self, url: str, params: dict | None = None) -> str:
        """One page more."""
        self.pages += 1
        if self.pages > self.limits.listing_requests:
            raise self.refused(f"has more than {self.limits.listing_requests} pages")
        if self.client.clock() > self._until:
            raise self.refused(f"takes more than {self.limits.listing_s} s")
        return self.client.get_text(url, params)

    def add(self, file: RemoteFile) -> None:
        """One file more."""
        if len(self.files) >= self.limits.listing_files:
            raise self.refused(f"has more than {self.limits.listing_files} files")
        self.files.append(file)

    def refused(self, why: str) -> DAXADownloadError:
        """The error that ends it."""
        return DAXADownloadError(f"{self.url}: refused, its listing {why}")


def list_directory(
    client: Client, url: str, wanted: Callable[[str], bool] = lambda path: True, below: str = ""
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

    Raises
    ------
    NotThere
        There is no such directory.
    DAXADownloadError
        The page is not a directory listing, or was cut, or the listing is larger than any observation's.
    """
    listing = _Listing(client, url)
    _list_directory(listing, url, wanted, below, 0)
    return listing.files


def _list_directory(
    listing: _Listing, url: str, wanted: Callable[[str], bool], below: str, depth: int
) -> None:
    base = url.rstrip("/") + "/"
    page = listing.page(base)
    if "</html>" not in page.lower():
        raise DAXADownloadError(f"{base}: the directory page is incomplete")
    folders, seen = [], set()
    for found in _LINK.finditer(page):
        full = urljoin(base, html.unescape(found[1]).split("#")[0])
        name = full.removeprefix(base)
        if name == full or not name or "?" in name or full in seen:
            continue
        seen.add(full)
        folder, name = name.endswith("/"), unquote(name.rstrip("/"))
        if "/" in name or name in (".", ".."):
            continue
        path = f"{below}{name}"
        unpack.safe_member_path(path, base)
        if folder:
            folders.append((full, path))
        elif wanted(path):
            listing.add(RemoteFile(full, path))
    if not seen and not re.search(r"index of|directory", page, re.IGNORECASE):
        raise DAXADownloadError(f"{base}: the server's answer is not a directory page")
    if depth < listing.limits.directory_depth:
        for full, path in folders:
            _list_directory(listing, full, wanted, f"{path}/", depth + 1)


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
        The answer is not an S3 listing, or the listing has no end.
    """
    prefix = prefix.strip("/") + "/"
    listing, listed, tokens = _Listing(client, url), False, {""}
    params = {"list-type": "2", "prefix": prefix}
    while True:
        try:
            page = read_page(listing.page(f"{url}/", params))
        except ValueError as err:
            raise DAXADownloadError(f"{url}: not an S3 listing of {prefix} ({err})") from err
        for item in page.items:
            key = item.get("Key", "")
            if not key.startswith(prefix) or key.endswith("/"):
                continue
            listed = True
            path = key.removeprefix(prefix)
            unpack.safe_member_path(path, url)
            if wanted(path):
                listing.add(_object(url, path, item))
        if not page.token:
            break
        if page.token in tokens:
            raise listing.refused("begins again and again")
        tokens.add(page.token)
        params["continuation-token"] = page.token
    if not listed:
        raise NotThere(f"{url}: nothing under {prefix}")
    return listing.files


def _object(url: str, path: str, item: dict[str, str]) -> RemoteFile:
    """An object of a bucket, as the listing describes it."""
    tag, size = item.get("ETag", "").strip('"'), item.get("Size", "")
    # the tag of what came in pieces is not an MD5
    md5 = tag if re.fullmatch(r"[0-9a-fA-F]{32}", tag) else None
    return RemoteFile(
        f"{url}/{quote(item['Key'])}", path, int(size) if re.fullmatch(r"[0-9]{1,18}", size) else None, md5
    )


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
                    f"{foreign(file.path)} of {host(file.url)} is damaged: {err}"
                ) from err
            progress.expect(size)
