"""Names of celestial objects to coordinates, through CDS Sesame."""

from __future__ import annotations

import re
from urllib.parse import quote

from daxa.exceptions import DAXADownloadError
from daxa.fetch.http import Client
from daxa.mission.endpoints import address

_NUMBER = r"[-+]?[0-9]{1,3}(?:\.[0-9]{1,30})?"


def resolve(name: str, parse: bool = False) -> tuple[float, float] | None:
    """Coordinates of a named object.

    Parameters
    ----------
    name : str
    parse : bool
        Read coordinates that are part of the name instead of asking, where there are any.

    Returns
    -------
    (float, float) or None
        Right ascension and declination (ICRS, degrees); None if the name is unknown.

    Raises
    ------
    DAXADownloadError
        The service cannot be reached.
    """
    if parse:
        from astropy.coordinates import jparser

        try:
            coordinates = jparser.to_skycoord(name)
        except ValueError:
            pass
        else:
            return float(coordinates.ra.deg), float(coordinates.dec.deg)
    url = address("sesame")
    try:
        # with everything quoted: + would be a blank, & and % something else
        answer = Client(timeout_s=30).get_text(f"{url}/A", quote(name, safe=""), tries=1)
    except DAXADownloadError as err:
        raise DAXADownloadError(f"object_name: the name service did not answer ({err})") from err
    match = re.search(rf"^%J\s{{1,9}}({_NUMBER})\s{{1,9}}({_NUMBER})", answer, re.MULTILINE)
    return (float(match[1]), float(match[2])) if match else None
