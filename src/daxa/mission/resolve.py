"""Names of celestial objects to coordinates, through CDS Sesame."""

from __future__ import annotations

import re
from urllib.parse import quote

import requests

from daxa.exceptions import DAXADownloadError
from daxa.mission.endpoints import address


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
        answer = requests.get(f"{url}/A", params=quote(name, safe=""), timeout=30)
        answer.raise_for_status()
    except requests.RequestException as err:
        raise DAXADownloadError(f"object_name: the name service {url} did not answer ({err})") from err
    match = re.search(r"^%J\s+([-+\d.eE]+)\s+([-+\d.eE]+)", answer.text, re.MULTILINE)
    return (float(match[1]), float(match[2])) if match else None
