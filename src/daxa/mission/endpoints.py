"""Addresses of the archives, each in one place.

Every one can be set by the environment (``DAXA_URL_XSA_TAP=http://...``), e.g. to a mirror.
"""

from __future__ import annotations

import os

ADDRESSES = {
    "sesame": "https://cds.unistra.fr/cgi-bin/nph-sesame",
    "xsa_tap": "https://nxsa.esac.esa.int/tap-server/tap",
    "xsa_aio": "https://nxsa.esac.esa.int/nxsa-sl/servlet/data-action-aio",
    "heasarc_tap": "https://heasarc.gsfc.nasa.gov/xamin/vo/tap",
    "heasarc_ftp": "https://heasarc.gsfc.nasa.gov/FTP",
    "s3": "https://nasa-heasarc.s3.amazonaws.com",
    "erass_dr1": "https://erosita.mpe.mpg.de/dr1/erodat/data/download",
    "erass_tiles": "https://erosita.mpe.mpg.de/dr1/eSASS4DR1/eSASS4DR1_ProductsDescription/SKYMAPS_052022_MPE.fits",
    "erosita_edr": "https://erosita.mpe.mpg.de/edr/eROSITAObservations/CalPvObs",
}


def address(key: str) -> str:
    """An archive's address without a trailing slash.

    Parameters
    ----------
    key
        One of :data:`ADDRESSES`.

    Raises
    ------
    KeyError
        There is no such archive.

    Examples
    --------
    >>> address("heasarc_ftp")
    'https://heasarc.gsfc.nasa.gov/FTP'
    """
    return os.environ.get(f"DAXA_URL_{key.upper()}", ADDRESSES[key]).rstrip("/")
